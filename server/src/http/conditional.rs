//! Conditional requests (RFC 9110, section 13), and the entity tags they name: a document's version in quotes.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::error::Error;
use crate::model::Version;
use crate::store::Precondition;

/// Entity tags that one header may name: what one DynamoDB condition can compare.
const MAX_TAGS: usize = 50;

/// What a conditional read is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The document.
    Full,
    /// 304: the client has it.
    NotModified,
    /// 412: the client asked for another version only.
    Failed,
}

/// The entity tag of a version.
pub fn entity_tag(version: Version) -> HeaderValue {
    // Digits in quotes are always a valid value.
    HeaderValue::try_from(format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"0\""))
}

/// What a read's conditions say to this version.
pub fn freshness(headers: &HeaderMap, version: Version) -> Result<Freshness, Error> {
    let written = whole_seconds(version.time());
    let failed = match tags(headers, &IF_MATCH)? {
        Some(tags) => !tags.name(version, false),
        None => date(headers, &IF_UNMODIFIED_SINCE).is_some_and(|moment| written > moment),
    };
    let known = match tags(headers, &IF_NONE_MATCH)? {
        Some(tags) => tags.name(version, true),
        None => date(headers, &IF_MODIFIED_SINCE).is_some_and(|moment| written <= moment),
    };
    Ok(match (failed, known) {
        (true, _) => Freshness::Failed,
        (false, true) => Freshness::NotModified,
        (false, false) => Freshness::Full,
    })
}

/// What a write's conditions ask of the store.
pub fn precondition(headers: &HeaderMap) -> Result<Precondition, Error> {
    let matching = tags(headers, &IF_MATCH)?.map(|tags| match tags {
        Tags::Any => Precondition::Exists,
        tags => Precondition::VersionIn(tags.versions(false)),
    });
    let unmatching = tags(headers, &IF_NONE_MATCH)?.map(|tags| match tags {
        Tags::Any => Precondition::Absent,
        tags => Precondition::VersionNotIn(tags.versions(true)),
    });
    Ok(match (matching, unmatching) {
        (Some(matching), Some(unmatching)) => Precondition::Both(Box::new((matching, unmatching))),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => date(headers, &IF_UNMODIFIED_SINCE).map_or(Precondition::None, |moment| {
            // The header has whole seconds: all of that second counts as before.
            let millis = moment.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() * 1000 + 999);
            Precondition::UnmodifiedSince(millis)
        }),
    })
}

#[derive(Debug, PartialEq)]
enum Tags {
    Any,
    /// Each tag's text between the quotes, and whether it is weak.
    These(Vec<(bool, String)>),
}

impl Tags {
    fn name(&self, version: Version, weak_too: bool) -> bool {
        matches!(self, Self::Any) || self.versions(weak_too).contains(&version)
    }

    /// The versions among them. A tag that is no version of ours can match nothing.
    fn versions(&self, weak_too: bool) -> Vec<Version> {
        let Self::These(tags) = self else { return Vec::new() };
        let strong = tags.iter().filter(|(weak, _)| weak_too || !weak);
        strong.filter_map(|(_, tag)| tag.parse().ok().filter(|version: &Version| version.to_string() == *tag)).collect()
    }
}

/// The tags of all the header's lines; none where there is no such header.
fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Error> {
    let bad = |fault: &str| Error::BadHeader {
        name: if name == IF_MATCH { "If-Match" } else { "If-None-Match" },
        fault: fault.to_owned(),
    };
    let mut tags = Vec::new();
    let mut any = false;
    for value in headers.get_all(name) {
        let mut rest =
            value.to_str().map_err(|_| bad("it has characters outside ASCII"))?.trim_matches([' ', '\t', ',']);
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('*') {
                any = true;
                rest = after;
            } else {
                let (weak, tag) = rest.strip_prefix("W/").map_or((false, rest), |tag| (true, tag));
                let quoted = tag.strip_prefix('"').and_then(|tag| tag.split_once('"'));
                let (tag, after) = quoted.ok_or_else(|| bad("use * or entity tags in double quotes"))?;
                tags.push((weak, tag.to_owned()));
                rest = after;
            }
            rest = rest.trim_start_matches([' ', '\t', ',']);
        }
    }
    match (any, tags.len()) {
        (true, 0) => Ok(Some(Tags::Any)),
        (true, _) => Err(bad("* stands alone")),
        (false, 0) if headers.contains_key(name) => Err(bad("it is empty")),
        (false, 0) => Ok(None),
        (false, count) if count > MAX_TAGS => Err(bad("it names too many entity tags, 50 are the most")),
        (false, _) => Ok(Some(Tags::These(tags))),
    }
}

/// A date, or nothing where there is none or it cannot be read: RFC 9110 has us ignore it then.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (name.clone(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn version(digits: &str) -> Version {
        digits.parse().unwrap()
    }

    #[test]
    fn writes_turn_into_preconditions_of_the_store() {
        for (lines, expected) in [
            (vec![], Precondition::None),
            (vec![(IF_MATCH, "*")], Precondition::Exists),
            (vec![(IF_NONE_MATCH, "*")], Precondition::Absent),
            (vec![(IF_MATCH, "\"7\"")], Precondition::VersionIn(vec![version("7")])),
            (
                vec![(IF_MATCH, "\"7\",W/\"8\", \"x\""), (IF_MATCH, "\"9\"")],
                Precondition::VersionIn(vec![version("7"), version("9")]),
            ),
            (vec![(IF_MATCH, "\"007\"")], Precondition::VersionIn(vec![])),
            (vec![(IF_NONE_MATCH, "W/\"8\"")], Precondition::VersionNotIn(vec![version("8")])),
            (vec![(IF_UNMODIFIED_SINCE, "Thu, 01 Jan 1970 00:00:01 GMT")], Precondition::UnmodifiedSince(1999)),
            (vec![(IF_UNMODIFIED_SINCE, "yesterday")], Precondition::None),
            (
                vec![(IF_MATCH, "*"), (IF_NONE_MATCH, "\"7\"")],
                Precondition::Both(Box::new((Precondition::Exists, Precondition::VersionNotIn(vec![version("7")])))),
            ),
        ] {
            assert_eq!(precondition(&headers(&lines)).unwrap(), expected, "{lines:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_not_guessed() {
        for lines in [
            vec![(IF_MATCH, "7")],
            vec![(IF_MATCH, "\"7")],
            vec![(IF_MATCH, "")],
            vec![(IF_MATCH, "*, \"7\"")],
            vec![(IF_NONE_MATCH, &*["\"1\""; 51].join(","))],
        ] {
            assert!(precondition(&headers(&lines)).is_err(), "{lines:?}");
        }
    }

    #[test]
    fn reads_compare_weakly_and_dates_by_the_second() {
        let written = version(&((1_500 << 22) | 5_u64).to_string());
        let tag = format!("W/\"{written}\"");
        for (lines, expected) in [
            (vec![], Freshness::Full),
            (vec![(IF_NONE_MATCH, tag.as_str())], Freshness::NotModified),
            (vec![(IF_NONE_MATCH, "\"1\"")], Freshness::Full),
            (vec![(IF_MATCH, tag.as_str())], Freshness::Failed),
            (vec![(IF_MATCH, "*")], Freshness::Full),
            (vec![(IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:00:01 GMT")], Freshness::NotModified),
            (vec![(IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:00:00 GMT")], Freshness::Full),
            (vec![(IF_UNMODIFIED_SINCE, "Thu, 01 Jan 1970 00:00:00 GMT")], Freshness::Failed),
            // The tag says more than the date, which is then ignored.
            (vec![(IF_NONE_MATCH, "\"1\""), (IF_MODIFIED_SINCE, "Thu, 01 Jan 1970 00:00:09 GMT")], Freshness::Full),
        ] {
            assert_eq!(freshness(&headers(&lines), written).unwrap(), expected, "{lines:?}");
        }
    }
}
