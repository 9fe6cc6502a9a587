//! Labels as a tree: each dot in a name goes one step down. Names are compared without case.

use std::collections::BTreeMap;

use super::LabelError;

/// A node of the tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name as the first label spells it.
    pub name: String,
    /// Its value, if a label ends here.
    pub value: String,
    /// What is below it.
    pub children: Vec<Node>,
}

impl Node {
    /// The tree of the labels that begin with one of `filters`; `None` without such a label.
    pub(super) fn of(labels: &BTreeMap<String, String>, filters: &[&str]) -> Result<Option<Self>, LabelError> {
        let begins = |label: &str| {
            filters.iter().any(|filter| label.get(..filter.len()).is_some_and(|start| start.eq_ignore_ascii_case(filter)))
        };
        let mut root: Option<Self> = None;
        for (label, value) in labels.iter().filter(|(label, _)| begins(label)) {
            let mut parts: Vec<&str> = Vec::new();
            for part in label.split('.') {
                if part.is_empty() || part.starts_with('[') {
                    return Err(LabelError::Label(format!("the label {label} has an empty part")));
                }
                match part.find('[').filter(|_| part.ends_with(']')) {
                    Some(bracket) => parts.extend([&part[..bracket], &part[bracket..]]),
                    None => parts.push(part),
                }
            }
            if parts.first() != Some(&"traefik") {
                return Err(LabelError::Label(format!("the label {label} does not begin with traefik in lower case")));
            }
            root.get_or_insert_default().insert(&parts[1..], value);
        }
        Ok(root)
    }

    fn insert(&mut self, path: &[&str], value: &str) {
        let Some((first, rest)) = path.split_first() else {
            value.clone_into(&mut self.value);
            return;
        };
        let place = self.children.iter().position(|child| child.name.eq_ignore_ascii_case(first));
        let place = place.unwrap_or_else(|| {
            self.children.push(Self { name: (*first).to_owned(), ..Self::default() });
            self.children.len() - 1
        });
        self.children[place].insert(rest, value);
    }

    /// The node at a path below.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, name| node.children.iter().find(|child| child.name.eq_ignore_ascii_case(name)))
    }

    /// The value at a path below; empty without one.
    pub fn text(&self, path: &[&str]) -> String {
        self.at(path).map(|node| node.value.clone()).unwrap_or_default()
    }

    /// The parts of a value with commas.
    pub fn list(&self, path: &[&str]) -> Vec<String> {
        let text = self.text(path);
        if text.is_empty() { Vec::new() } else { text.split(',').map(|part| part.trim().to_owned()).collect() }
    }
}
