//! Lines below a key or in an item, however deep.

use super::{Line, Lines, Value};

/// Where lines are added that belong together: below a key, or in an item of a list.
pub(super) struct Block<'a> {
    lines: &'a mut Lines,
    path: String,
    indent: usize,
    /// The next line begins an item.
    dash: bool,
}

impl<'a> Block<'a> {
    /// Below a key that stands already, by so many spaces.
    pub(super) fn below(lines: &'a mut Lines, path: String, indent: usize) -> Self {
        Self { lines, path, indent, dash: false }
    }

    /// An item of a list.
    pub(super) fn item(lines: &'a mut Lines, path: String, indent: usize) -> Self {
        Self { lines, path, indent, dash: true }
    }

    pub(super) fn path(&self, key: &str) -> String {
        format!("{}.{key}", self.path)
    }

    fn push(&mut self, key: &str, value: Option<Value>, default: bool) -> &mut Line {
        let mark = if std::mem::take(&mut self.dash) { "- " } else { "  " };
        let indent = " ".repeat(self.indent - 2) + mark;
        let line = Line {
            path: self.path(key),
            indent,
            key: key.to_owned(),
            value,
            default,
            elsewhere: Vec::new(),
        };
        self.lines.0.push_mut(line)
    }

    pub(super) fn set(&mut self, key: &str, value: Value, default: bool) -> &mut Line {
        self.push(key, Some(value), default)
    }

    /// A key with lines below it.
    pub(super) fn table(&mut self, key: &str, default: bool) -> Block<'_> {
        self.push(key, None, default);
        let path = self.path(key);
        Block::below(self.lines, path, self.indent + 2)
    }

    /// A list of tables; of each the first setting is always written.
    pub(super) fn items<T>(&mut self, key: &str, items: &[T], write: impl Fn(&T, &mut Block)) {
        if items.is_empty() {
            self.set(key, Value::List(Vec::new()), true);
            return;
        }
        self.push(key, None, false);
        for (index, item) in items.iter().enumerate() {
            let path = format!("{}[{index}]", self.path(key));
            write(item, &mut Block::item(self.lines, path, self.indent + 4));
        }
    }
}
