//! Named values in values: what is sent as parameters, what is answered, and what is kept as it was sent.

use super::Failure;

/// A text, or named children, of which several may have the same name. A list is a child with children called `member`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    text: String,
    children: Vec<(String, Tree)>,
}

impl Tree {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A text.
    #[expect(clippy::needless_pass_by_value, reason = "numbers and texts are given alike")]
    pub fn leaf(text: impl ToString) -> Self {
        Self { text: text.to_string(), children: Vec::new() }
    }

    /// A list.
    pub fn list(members: impl IntoIterator<Item = Tree>) -> Self {
        Self {
            text: String::new(),
            children: members.into_iter().map(|member| ("member".to_owned(), member)).collect(),
        }
    }

    /// With one more child.
    #[must_use]
    pub fn with(mut self, name: &str, child: Tree) -> Self {
        self.push(name, child);
        self
    }

    /// With one more text.
    #[must_use]
    pub fn set(self, name: &str, text: impl ToString) -> Self {
        self.with(name, Tree::leaf(text))
    }

    /// With one more text, if there is one.
    #[must_use]
    pub fn maybe(self, name: &str, text: Option<impl ToString>) -> Self {
        match text {
            Some(text) => self.set(name, text),
            None => self,
        }
    }

    /// With a copy of a child, if there is one.
    #[must_use]
    pub fn maybe_with(self, name: &str, child: Option<&Tree>) -> Self {
        match child {
            Some(child) => self.with(name, child.clone()),
            None => self,
        }
    }

    pub(crate) fn push(&mut self, name: &str, child: Tree) {
        self.children.push((name.to_owned(), child));
    }

    /// With this child in the place of those of its name.
    #[must_use]
    pub fn replace(mut self, name: &str, child: Tree) -> Self {
        self.children.retain(|(each, _)| each != name);
        self.with(name, child)
    }

    /// With this tree in the place of the one at a path of names.
    #[must_use]
    pub fn replaced(&self, path: &[&str], tree: Tree) -> Self {
        let Some((name, rest)) = path.split_first() else { return tree };
        let inner = self.get(name).cloned().unwrap_or_default().replaced(rest, tree);
        self.clone().replace(name, inner)
    }

    /// Without the children of this name.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let children = self.children.iter().filter(|(each, _)| each != name).cloned().collect();
        Self { text: self.text.clone(), children }
    }

    /// Its own text, which may be empty.
    pub fn as_text(&self) -> &str {
        &self.text
    }

    pub(crate) fn append_text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// The children with their names, in order.
    pub fn children(&self) -> impl Iterator<Item = (&str, &Tree)> {
        self.children.iter().map(|(name, child)| (name.as_str(), child))
    }

    /// Neither text nor children.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.children.is_empty()
    }

    /// The child at a path of names, as `LaunchTemplate.Version`: of each name the first.
    pub fn get(&self, path: &str) -> Option<&Tree> {
        path.split('.')
            .try_fold(self, |tree, name| tree.children.iter().find(|(each, _)| each == name).map(|(_, child)| child))
    }

    /// The text at a path; an empty one counts as none.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.get(path).map(Tree::as_text).filter(|text| !text.is_empty())
    }

    /// The text at a path, which must be there.
    pub fn required(&self, path: &str) -> Result<&str, Failure> {
        self.text(path).ok_or_else(|| {
            Failure::validation(format!(
                "1 validation error detected: Value null at '{path}' failed to satisfy constraint: Member must not be null"
            ))
        })
    }

    /// The number at a path.
    pub fn number<N: std::str::FromStr>(&self, path: &str) -> Result<Option<N>, Failure> {
        self.text(path)
            .map(|text| {
                text.parse()
                    .map_err(|_| Failure::new("MalformedInput", format!("{path} must be a number, not {text:?}")))
            })
            .transpose()
    }

    /// Whether it says `true` at a path.
    pub fn flag(&self, path: &str) -> Result<Option<bool>, Failure> {
        match self.text(path) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => Err(Failure::new("MalformedInput", format!("{path} must be true or false, not {text:?}"))),
        }
    }

    /// The members of the list at a path; none if there is no such list.
    pub fn members(&self, path: &str) -> impl Iterator<Item = &Tree> {
        self.get(path).into_iter().flat_map(|list| list.children.iter().map(|(_, member)| member))
    }

    /// The texts of the members of the list at a path.
    pub fn texts(&self, path: &str) -> Vec<String> {
        self.members(path).map(|member| member.text.clone()).filter(|text| !text.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_by_path() {
        let tree = Tree::new()
            .with("LaunchTemplate", Tree::new().set("Version", 7))
            .with("Zones", Tree::list([Tree::leaf("a"), Tree::leaf("b")]))
            .set("Empty", "");
        assert_eq!(tree.text("LaunchTemplate.Version"), Some("7"));
        assert_eq!(tree.number::<u32>("LaunchTemplate.Version"), Ok(Some(7)));
        assert_eq!(tree.texts("Zones"), ["a", "b"]);
        assert_eq!((tree.text("Empty"), tree.text("LaunchTemplate.Id")), (None, None));
        assert!(tree.required("Empty").unwrap_err().message.contains("'Empty'"));
        assert!(tree.flag("LaunchTemplate.Version").is_err());
        assert_eq!(tree.members("Nothing").count(), 0);
    }
}
