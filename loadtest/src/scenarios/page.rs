//! Somebody opens the page: what a browser then fetches.

use crate::call::{Caller, Ended, status};
use crate::target::Ask;

pub(super) async fn browse(caller: &mut Caller<'_>) -> Result<(), Ended> {
    for (endpoint, path, kind, part) in [
        ("GET /", "/", "text/html", "Tideline"),
        ("GET /page.css", "/page.css", "text/css", "{"),
        ("GET /page.js", "/page.js", "text/javascript", "fetch"),
        ("GET /status", "/status", "application/json", "version"),
    ] {
        let judge = |answer: &crate::target::Answer| {
            status(answer, &[200])?;
            let (found, text) = (answer.header("content-type"), String::from_utf8_lossy(&answer.body));
            let fits = found.starts_with(kind) && text.contains(part);
            if fits { Ok(()) } else { Err(format!("it is {found:?}, and {part:?} may not be in it")) }
        };
        caller.call(Ask::get(endpoint, path), judge).await?;
    }
    Ok(())
}
