//! The documentation, as its readers use it: what they type, the links they follow, the names they look up.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::outside::repository;

/// One Markdown page.
#[derive(Debug, Clone)]
pub struct Document {
    /// Where it lies, from the repository's root.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// Code in a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// What stands behind the opening fence; `None` for code within a sentence.
    pub info: Option<String>,
    /// The code.
    pub text: String,
}

/// `README.md`, `CONTRIBUTING.md` and the like, and everything under `docs/`.
///
/// # Panics
/// When a file cannot be read.
#[must_use]
pub fn documents() -> Vec<Document> {
    let mut paths = markdown_in(repository(), false);
    paths.extend(markdown_in(&repository().join("docs"), true));
    paths.into_iter().map(|path| Document::read(&path)).collect()
}

fn markdown_in(folder: &Path, deep: bool) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() && deep {
            paths.extend(markdown_in(&path, deep));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
    paths.sort();
    paths
}

impl Document {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path: path.strip_prefix(repository()).unwrap().to_owned(), text }
    }

    /// All code of the page, blocks and spans.
    #[must_use]
    pub fn code(&self) -> Vec<Code> {
        let mut code = Vec::new();
        let mut block: Option<Code> = None;
        for line in self.text.lines() {
            match (&mut block, line.trim_start().strip_prefix("```")) {
                (Some(_), Some(_)) => code.extend(block.take()),
                (Some(open), None) => {
                    open.text.push_str(line);
                    open.text.push('\n');
                }
                (None, Some(info)) => block = Some(Code { info: Some(info.trim().to_owned()), text: String::new() }),
                (None, None) => code.extend(spans(line)),
            }
        }
        assert!(block.is_none(), "{} ends within a block of code", self.path.display());
        code
    }

    /// The lines that are typed into a shell: in shell blocks without their comments, and code within sentences.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        let mut commands = Vec::new();
        for code in self.code() {
            match code.info.as_deref() {
                None => commands.push(code.text),
                Some("sh" | "bash" | "console") => {
                    let joined = code.text.replace("\\\n", " ");
                    commands.extend(joined.lines().map(|line| without_comment(line).to_owned()));
                }
                Some(_) => {}
            }
        }
        commands
    }

    /// Where its links lead, as written.
    #[must_use]
    pub fn links(&self) -> Vec<String> {
        let pieces = self.text.split("](").skip(1);
        pieces.filter_map(|piece| piece.split_once(')')).map(|(target, _)| target.to_owned()).collect()
    }

    /// The anchors of its headings.
    #[must_use]
    pub fn anchors(&self) -> BTreeSet<String> {
        let headings = self.text.lines().filter(|line| line.starts_with('#'));
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
    }
}

fn spans(line: &str) -> Vec<Code> {
    line.split('`').skip(1).step_by(2).map(|text| Code { info: None, text: text.to_owned() }).collect()
}

fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with('#') { "" } else { line.split(" #").next().unwrap_or(line) }
}

fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// Every word of the text that goes on after `prefix`, in capitals, digits and underscores.
#[must_use]
pub fn words_with_prefix(text: &str, prefix: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    let words = text.split(|letter| !is_part(letter));
    words.filter(|word| word.starts_with(prefix) && word.len() > prefix.len()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document { path: "x.md".into(), text: text.to_owned() }
    }

    #[test]
    fn commands_are_what_is_typed() {
        let page = document(
            "Run `make up`, then:\n\n```sh\n# say: make tea\nmake test  # make sure\nonering a \\\n  --b\n```\n```json\n{}\n```\n",
        );
        assert_eq!(page.commands(), ["make up", "", "make test ", "onering a    --b"]);
    }

    #[test]
    fn anchors_are_those_of_the_headings() {
        let page = document("# A `b`: c d\ntext [x](y.md#z) and [u](#v)\n");
        assert_eq!(page.anchors(), BTreeSet::from(["a-b-c-d".to_owned()]));
        assert_eq!(page.links(), ["y.md#z", "#v"]);
    }

    #[test]
    fn words_are_whole() {
        let words = words_with_prefix("`ONERING_A_2`,ONERING_B=1 xONERING_C ONERING_ and ONE", "ONERING_");
        assert_eq!(words.into_iter().collect::<Vec<_>>(), ["ONERING_A_2", "ONERING_B", "ONERING_C"]);
    }
}
