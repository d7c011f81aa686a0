//! HAProxy's runtime socket: what is told to it, and what it says about its targets.

use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// It answers in less than a millisecond.
const BOUND: Duration = Duration::from_secs(5);
/// All of `show stat`, with room.
const ANSWER: u64 = 16 << 20;

/// What HAProxy says of one target.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) backend: String,
    pub(super) server: String,
    /// `UP`, `UP 1/2`, `DOWN`, `DOWN 1/2`, `MAINT`, `DRAIN`
    pub(super) status: String,
    /// How the last check ended: `L7OK`, `L7STS`, `L4TOUT` …
    pub(super) check: String,
    /// The status that the last check was answered with.
    pub(super) code: String,
    /// Requests that it has now.
    pub(super) current: u64,
    /// Requests that it was chosen for, whether they reached it or not.
    pub(super) total: u64,
    /// Those of its answers that were 5xx.
    pub(super) failed: u64,
}

/// Sends commands, and gives the answers together.
pub(super) async fn send(socket: &Path, commands: &[String]) -> io::Result<String> {
    let talk = async {
        let mut stream = UnixStream::connect(socket).await?;
        stream.write_all(format!("{}\n", commands.join("; ")).as_bytes()).await?;
        let mut answer = String::new();
        stream.take(ANSWER).read_to_string(&mut answer).await?;
        Ok(answer)
    };
    tokio::time::timeout(BOUND, talk).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// What it says of all targets.
pub(super) async fn rows(socket: &Path) -> io::Result<Vec<Row>> {
    // Objects of type 4 are servers.
    Ok(read(&send(socket, &["show stat -1 4 -1".to_owned()]).await?))
}

fn read(csv: &str) -> Vec<Row> {
    let mut lines = csv.lines();
    let header: Vec<_> = lines.next().unwrap_or_default().trim_start_matches("# ").split(',').collect();
    let at = |name: &str| header.iter().position(|each| *each == name);
    let columns = ["pxname", "svname", "status", "check_status", "check_code", "scur", "lbtot", "hrsp_5xx"].map(at);
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let cells: Vec<_> = line.split(',').collect();
            let [backend, server, status, check, code, current, total, failed] =
                columns.map(|column| column.and_then(|column| cells.get(column)).copied().unwrap_or_default());
            let number = |text: &str| text.parse().unwrap_or_default();
            Row {
                backend: backend.to_owned(),
                server: server.to_owned(),
                status: status.to_owned(),
                // With a star while the next one is under way.
                check: check.trim_start_matches("* ").to_owned(),
                code: code.to_owned(),
                current: number(current),
                total: number(total),
                failed: number(failed),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_table_by_its_header() {
        let csv = "# pxname,svname,scur,lbtot,status,hrsp_5xx,check_status,check_code,\n\
                   group0,target0,2,70,UP 1/2,3,* L7STS,503,\n\n";
        let row = Row {
            backend: "group0".to_owned(),
            server: "target0".to_owned(),
            status: "UP 1/2".to_owned(),
            check: "L7STS".to_owned(),
            code: "503".to_owned(),
            current: 2,
            total: 70,
            failed: 3,
        };
        assert_eq!(read(csv), [row]);
        assert_eq!(read(""), []);
    }
}
