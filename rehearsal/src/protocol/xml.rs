//! Answers of the Query protocol, written and, from whoever is behind, read.

use super::{Failure, Tree};

/// The answer to an action that was done.
pub fn answer(action: &str, namespace: &str, result: &Tree, request_id: &str) -> String {
    let mut out = format!("<{action}Response xmlns=\"{namespace}\"><{action}Result>");
    write(&mut out, result);
    out += &format!(
        "</{action}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{action}Response>"
    );
    out
}

/// The answer to an action that was refused.
pub fn error(failure: &Failure, namespace: &str, request_id: &str) -> String {
    let mut out = format!("<ErrorResponse xmlns=\"{namespace}\">");
    let error = Tree::new().set("Type", failure.party()).set("Code", &failure.code).set("Message", &failure.message);
    write(&mut out, &Tree::new().with("Error", error).set("RequestId", request_id));
    out += "</ErrorResponse>";
    out
}

fn write(out: &mut String, tree: &Tree) {
    escape(out, tree.as_text());
    for (name, child) in tree.children() {
        out.push('<');
        out.push_str(name);
        out.push('>');
        write(out, child);
        out.push_str("</");
        out.push_str(name);
        out.push('>');
    }
}

fn escape(out: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no way to write these.
            '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' => out.push('\u{fffd}'),
            '\r' => out.push_str("&#13;"),
            _ => out.push(character),
        }
    }
}

/// Deeper is no answer of AWS.
const DEPTH: usize = 64;

/// Reads a document into a tree that has the root element as its one child. Attributes, comments and declarations are passed
/// over. Fails on anything that is not well formed.
pub fn read(text: &str) -> Result<Tree, String> {
    let mut open: Vec<(String, Tree)> = vec![(String::new(), Tree::new())];
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        if let Some((_, inner)) = open.last_mut() {
            inner.append_text(&unescape(&rest[..start]));
        }
        rest = &rest[start..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").ok_or("a comment does not end")?.1;
            continue;
        }
        let (tag, after) = rest[1..].split_once('>').ok_or("a tag does not end")?;
        rest = after;
        if tag.starts_with(['?', '!']) {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            let (opened, mut tree) = open.pop().ok_or("an element ends that did not begin")?;
            if opened != name.trim() {
                return Err(format!("<{opened}> ends as </{}>", name.trim()));
            }
            tree.trim();
            open.last_mut().ok_or("an element ends that did not begin")?.1.push(&opened, tree);
            continue;
        }
        let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let name = tag.split_whitespace().next().unwrap_or_default().to_owned();
        if empty {
            open.last_mut().ok_or("no element is open")?.1.push(&name, Tree::new());
        } else if open.len() < DEPTH {
            open.push((name, Tree::new()));
        } else {
            return Err(format!("deeper than {DEPTH} elements"));
        }
    }
    match open.pop() {
        Some((_, root)) if open.is_empty() && root.children().next().is_some() => Ok(root),
        Some((name, _)) => {
            Err(if name.is_empty() { "no element".to_owned() } else { format!("<{name}> does not end") })
        }
        None => Err("an element ends that did not begin".to_owned()),
    }
}

impl Tree {
    /// White space around an element's children is nobody's text.
    fn trim(&mut self) {
        if self.children().next().is_some() {
            *self = self.children().fold(Tree::new(), |tree, (name, child)| tree.with(name, child.clone()));
        }
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let Some((entity, after)) = rest[at + 1..].split_once(';') else {
            rest = &rest[at..];
            break;
        };
        let number = entity
            .strip_prefix("#x")
            .map(|hex| u32::from_str_radix(hex, 16))
            .or_else(|| entity.strip_prefix('#').map(str::parse));
        match entity {
            "amp" => out.push('&'),
            "lt" => out.push('<'),
            "gt" => out.push('>'),
            "quot" => out.push('"'),
            "apos" => out.push('\''),
            _ => out.push(number.and_then(Result::ok).and_then(char::from_u32).unwrap_or('\u{fffd}')),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let result =
            Tree::new().set("Cause", "5 < 6 & \"so\"\u{1}").with("List", Tree::list([Tree::leaf("é"), Tree::new()]));
        let text = answer("Describe", "http://example.com/", &result, "id");
        let read = read(&text).unwrap();
        let read = read.get("DescribeResponse").unwrap();
        assert_eq!(read.text("DescribeResult.Cause"), Some("5 < 6 & \"so\"\u{fffd}"));
        assert_eq!(read.texts("DescribeResult.List"), ["é"]);
        assert_eq!(read.members("DescribeResult.List").count(), 2);
        assert_eq!(read.text("ResponseMetadata.RequestId"), Some("id"));
    }

    #[test]
    fn reads_what_others_write() {
        let text = "<?xml version=\"1.0\"?>\n<!-- a > b --><A xmlns=\"u\">\n <set>\n  <item><id>1</id></item>\n  <item/>\n </set>\n</A>\n";
        let read = read(text).unwrap();
        assert_eq!(read.members("A.set").count(), 2);
        assert_eq!(read.text("A.set.item.id"), Some("1"));
        assert_eq!(read.text("A.set"), None);
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(read("<a><b></a>").unwrap_err(), "<b> ends as </a>");
        assert_eq!(read("<a>").unwrap_err(), "<a> does not end");
        assert_eq!(read("hello").unwrap_err(), "no element");
        assert!(read("</a>").is_err() && read("<a").is_err());
        assert!(read(&"<a>".repeat(100)).unwrap_err().contains("deeper"));
    }

    #[test]
    fn names_whose_fault_it_is() {
        let text = error(&Failure::new("InternalFailure", "no").status(500), "u", "id");
        assert!(text.contains("<Type>Receiver</Type><Code>InternalFailure</Code>"), "{text}");
    }
}
