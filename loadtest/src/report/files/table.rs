//! `timeline.csv`: RFC 4180, one column for each field of [`Row`], found by name when it is read.

use std::collections::BTreeMap;

use crate::report::Row;

/// A value that stands in one cell.
trait Cell: Sized {
    fn write(&self) -> String;
    fn read(text: &str) -> Option<Self>;
}

macro_rules! plain {
    ($($kind:ty)*) => {$(
        impl Cell for $kind {
            fn write(&self) -> String {
                self.to_string()
            }

            fn read(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )*};
}

plain!(String bool f64 u64);

/// Nothing is an empty cell.
impl<T: Cell> Cell for Option<T> {
    fn write(&self) -> String {
        self.as_ref().map(T::write).unwrap_or_default()
    }

    fn read(text: &str) -> Option<Self> {
        if text.is_empty() { Some(None) } else { T::read(text).map(Some) }
    }
}

/// `1.4.0=2 1.5.0=1`. Names are foreign: what is not plain in them is in per cent, so that they neither hold the signs
/// between them nor are a formula to a spreadsheet.
impl Cell for BTreeMap<String, u64> {
    fn write(&self) -> String {
        let one = |(name, count): (&String, &u64)| {
            let mut cell = String::new();
            for byte in name.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b':' => cell.push(byte.into()),
                    _ => cell += &format!("%{byte:02X}"),
                }
            }
            format!("{cell}={count}")
        };
        self.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn read(text: &str) -> Option<Self> {
        let one = |part: &str| {
            let (cell, count) = part.split_once('=')?;
            let (mut name, mut rest) = (Vec::new(), cell.bytes());
            while let Some(byte) = rest.next() {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let coded = if byte == b'%' { digit(rest.next())? * 16 + digit(rest.next())? } else { byte.into() };
                name.push(u8::try_from(coded).ok()?);
            }
            Some((String::from_utf8(name).ok()?, count.parse().ok()?))
        };
        text.split(' ').filter(|part| !part.is_empty()).map(one).collect()
    }
}

/// The columns; a field of [`Row`] that is missing here does not compile.
macro_rules! columns {
    ($($field:ident)*) => {
        const COLUMNS: &[&str] = &[$(stringify!($field)),*];

        fn cells(row: &Row) -> Vec<String> {
            vec![$(row.$field.write()),*]
        }

        fn row<'a>(cell: impl Fn(&str) -> Result<&'a str, String>) -> Result<Row, String> {
            let bad = |name: &str, text: &str| format!("{text:?} is no {name}");
            Ok(Row { $($field: {
                let (name, text) = (stringify!($field), cell(stringify!($field))?);
                Cell::read(text).ok_or_else(|| bad(name, text))?
            }),* })
        }
    };
}

columns! {
    at phase planned_rate due sent ok failed in_flight waiting p50_ms p95_ms p99_ms service_p50_ms versions zones own_cpus
    overslept_ms late steal_share throttled desired in_service healthy fleet_cpu
}

/// The table, with its names in the first line.
pub(super) fn write(rows: &[Row]) -> String {
    let names = COLUMNS.iter().map(|&name| name.to_owned()).collect();
    let line = |cells: Vec<String>| cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\r\n";
    std::iter::once(names).chain(rows.iter().map(cells)).map(line).collect()
}

fn quoted(cell: &str) -> String {
    let plain = !cell.contains(['"', ',', '\r', '\n']);
    if plain { cell.to_owned() } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
}

/// The rows of a table, by the names in its first line; other columns are passed over.
pub(super) fn read(text: &str) -> Result<Vec<Row>, String> {
    let mut lines = split(text)?.into_iter();
    let names = lines.next().unwrap_or_default();
    let rows = lines.enumerate().map(|(index, cells)| {
        let number = index + 2;
        if cells.len() != names.len() {
            return Err(format!("record {number} has {} columns of {}", cells.len(), names.len()));
        }
        let cell = |name: &str| {
            let column = names.iter().position(|own| own == name).ok_or_else(|| format!("no column {name}"))?;
            Ok(cells[column].as_str())
        };
        row(cell).map_err(|fault| format!("record {number}: {fault}"))
    });
    rows.collect()
}

/// Records of cells.
fn split(text: &str) -> Result<Vec<Vec<String>>, String> {
    let (mut records, mut record, mut cell, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' if quoted && rest.peek() == Some(&'"') => cell.extend(rest.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut cell)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut cell));
                records.push(std::mem::take(&mut record));
            }
            c => cell.push(c),
        }
    }
    // Every record ends its line: what follows the last was cut off.
    if quoted || !record.is_empty() || !cell.is_empty() { Err("its last line is cut off".into()) } else { Ok(records) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_survive_whatever_their_text_is() {
        let versions = BTreeMap::from([("1.4.0".to_owned(), 2), ("=a b%,\"é".to_owned(), 1), (String::new(), 3)]);
        let odd = Row {
            at: 1.0003,
            phase: "a,\"b\"\r\nc".to_owned(),
            versions,
            p99_ms: 0.1 + 0.2,
            throttled: true,
            desired: Some(4),
            fleet_cpu: Some(37.25),
            ..Row::default()
        };
        let rows = [Row::default(), odd];
        assert_eq!(read(&write(&rows)), Ok(rows.to_vec()));
        assert_eq!(read(&write(&[])), Ok(Vec::new()));
    }

    #[test]
    fn cells_are_quoted_as_rfc_4180_has_it() {
        let row =
            Row { phase: "a,\"b\"".to_owned(), versions: BTreeMap::from([("1 b".to_owned(), 2)]), ..Row::default() };
        let table = write(&[row]);
        assert!(table.starts_with("at,phase,planned_rate,due,") && table.ends_with(",,,,\r\n"), "{table}");
        assert!(table.contains("\r\n0,\"a,\"\"b\"\"\",0,") && table.contains(",1%20b=2,"), "{table}");
    }

    #[test]
    fn what_is_no_table_is_told_so() {
        let table = write(&[Row::default()]);
        for (from, to, fault) in [
            (",due,", ",dew,", "record 2: no column due"),
            ("false", "maybe", "record 2: \"maybe\" is no throttled"),
            ("\r\n0,", "\r\n0,0,", "record 2 has 25 columns of 24"),
            ("false,,,,\r\n", "fal", "cut off"),
        ] {
            assert!(read(&table.replace(from, to)).unwrap_err().contains(fault), "{fault}");
        }
    }
}
