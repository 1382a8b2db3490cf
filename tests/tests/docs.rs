//! What the documentation tells its readers to type, read and look up exists.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::collections::{BTreeMap, BTreeSet};

use onering_problem::Code;
use onering_settings::VARIABLES;
use onering_tests::documents::{Document, documents, words_with_prefix};
use onering_tests::outside;

/// A command line of `onering` as a page shows it.
struct Invocation {
    words: Vec<String>,
    flags: Vec<String>,
}

/// What `--help` says, by subcommand (`""` for the command itself, `keys create`).
struct Helps(BTreeMap<String, String>);

impl Helps {
    async fn read() -> Self {
        let mut helps = Self(BTreeMap::new());
        let mut open = vec![String::new()];
        while let Some(path) = open.pop() {
            let arguments = path.split_whitespace().chain(["--help"]);
            let ran = outside::run(outside::onering_binary(), arguments, outside::tests_folder(), b"").await;
            assert_eq!(ran.code, 0, "onering {path} --help: {}", ran.text);
            open.extend(subcommands(&ran.text).map(|name| format!("{path} {name}").trim().to_owned()));
            helps.0.insert(path, ran.text);
        }
        helps
    }

    /// The help of the subcommand these words begin with.
    fn of(&self, words: &[String]) -> Result<&str, String> {
        let mut path = String::new();
        for word in words {
            let longer = format!("{path} {word}").trim().to_owned();
            if !self.0.contains_key(&longer) {
                if subcommands(&self.0[&path]).next().is_some() {
                    return Err(format!("there is no `onering {longer}`"));
                }
                break;
            }
            path = longer;
        }
        Ok(&self.0[&path])
    }
}

/// The names listed under `Commands:`, without clap's own `help`.
fn subcommands(help: &str) -> impl Iterator<Item = &str> {
    let list = help.split_once("\nCommands:\n").map_or("", |(_, list)| list);
    let lines = list.lines().take_while(|line| !line.is_empty());
    lines
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
}

fn takes(help: &str, flag: &str) -> bool {
    help.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-')).any(|word| word == flag)
}

fn flags<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let flags = words.filter(|word| word.starts_with("--") && word.len() > 2);
    flags
        .map(|word| word.split('=').next().unwrap_or(word).trim_end_matches([')', '"', '\'', ',']).to_owned())
        .collect()
}

/// The invocations of `onering` in a command line, which may be a pipe or a list.
fn invocations(line: &str) -> Vec<Invocation> {
    let parts = line.split(['|', ';', '&', '(', '`']);
    parts
        .filter_map(|part| {
            let mut words =
                part.split_whitespace().skip_while(|word| *word != "onering" && !word.ends_with("/onering"));
            words.next()?;
            let words: Vec<&str> = words.take_while(|word| !matches!(*word, ">" | "<" | "2>&1")).collect();
            let named = words.iter().take_while(|word| !word.starts_with('-'));
            Some(Invocation {
                words: named.map(|word| (*word).to_owned()).collect(),
                flags: flags(words.iter().copied()),
            })
        })
        .collect()
}

#[test]
fn every_make_target_that_is_named_exists() {
    let makefile = std::fs::read_to_string(outside::repository().join("Makefile")).unwrap();
    let targets: BTreeSet<&str> = makefile
        .lines()
        .filter(|line| line.starts_with(|letter: char| letter.is_ascii_lowercase()))
        .filter_map(|line| line.split_once(':').map(|(name, _)| name.trim()))
        .collect();
    let (mut missing, mut named) = (Vec::new(), BTreeSet::new());
    for page in documents() {
        for line in page.commands() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some(make) = words.iter().position(|word| *word == "make") else { continue };
            let is_target = |word: &&&str| word.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-');
            for target in words[make + 1..].iter().take_while(is_target) {
                named.insert((*target).to_owned());
                if !targets.contains(target) {
                    missing.push(format!("{}: make {target}", page.path.display()));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(named.contains("up") && named.contains("test"), "the pages name only {named:?}");
}

#[tokio::test]
async fn every_subcommand_and_flag_of_onering_that_is_named_exists() {
    let helps = Helps::read().await;
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for page in documents() {
        for line in page.commands() {
            let place = page.path.display();
            let mut found = invocations(&line);
            // `make up UP_ARGS="…"` hands its arguments on.
            if let Some((_, arguments)) = line.split_once("UP_ARGS=\"") {
                let arguments = arguments.split('"').next().unwrap_or_default();
                found.push(Invocation { words: vec!["up".to_owned()], flags: flags(arguments.split_whitespace()) });
            }
            for invocation in found {
                seen += 1;
                match helps.of(&invocation.words) {
                    Err(error) => wrong.push(format!("{place}: {error}")),
                    Ok(help) => {
                        let unknown = invocation.flags.iter().filter(|flag| !takes(help, flag));
                        wrong.extend(unknown.map(|flag| format!("{place}: `{}` takes no {flag}", line.trim())));
                    }
                }
            }
            // A flag in a sentence must be one of some subcommand.
            if line.starts_with("--") {
                let unknown = flags(line.split_whitespace()).into_iter();
                let unknown = unknown.filter(|flag| !helps.0.values().any(|help| takes(help, flag)));
                wrong.extend(unknown.map(|flag| format!("{place}: nothing takes {flag}")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen >= 5, "the pages show only {seen} command lines");
}

#[tokio::test]
async fn every_variable_that_is_named_exists() {
    let mut known: BTreeSet<String> = VARIABLES.iter().map(|variable| variable.name.to_owned()).collect();
    let secrets = VARIABLES.iter().filter(|variable| variable.secret());
    known.extend(secrets.map(|variable| format!("{}_FILE", variable.name)));
    let ports = outside::repository().join("crates/cli/src/stack/ports.rs");
    known.extend(words_with_prefix(&std::fs::read_to_string(ports).unwrap(), "ONERING_"));
    for help in Helps::read().await.0.values() {
        known.extend(words_with_prefix(help, "ONERING_"));
    }
    let mut unknown = Vec::new();
    for page in documents() {
        for name in words_with_prefix(&page.text, "ONERING_").difference(&known) {
            // `ONERING_ALERT_*` and the like stand for all that begin so.
            let is_family = name.ends_with('_') && known.iter().any(|known| known.starts_with(name.as_str()));
            if !is_family {
                unknown.push(format!("{}: {name}", page.path.display()));
            }
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn every_relative_link_leads_somewhere() {
    let pages = documents();
    let mut broken = Vec::new();
    for page in &pages {
        for link in page.links() {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            if !leads_somewhere(page, &link, &pages) {
                broken.push(format!("{}: {link}", page.path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

fn leads_somewhere(page: &Document, link: &str, pages: &[Document]) -> bool {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = match path {
        "" => outside::repository().join(&page.path),
        path => outside::repository().join(page.path.parent().unwrap()).join(path),
    };
    let Ok(target) = target.canonicalize() else { return false };
    let root = outside::repository().canonicalize().unwrap();
    let Ok(within) = target.strip_prefix(root) else { return false };
    let of_page = pages.iter().find(|page| page.path == within);
    anchor.is_empty() || of_page.is_some_and(|page| page.anchors().contains(anchor))
}

fn page(name: &str) -> Document {
    documents().into_iter().find(|page| page.path.ends_with(name)).unwrap()
}

/// The guide's table of errors: every code that a partner can meet, under its status, and no other.
#[test]
fn the_guide_has_every_code_a_partner_can_meet() {
    let guide = page("partner-guide.md");
    let mut listed = BTreeSet::new();
    let table = guide.text.lines().skip_while(|line| !line.starts_with("| status | code |"));
    for line in table.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Some(status) = cells.get(1).and_then(|cell| cell.parse::<u16>().ok()) else { continue };
        for name in cells[2].split('`').skip(1).step_by(2) {
            let code = Code::ALL.iter().find(|code| code.as_str() == name);
            assert_eq!(code.map(|code| code.status()), Some(status), "{name}");
            assert!(listed.insert(*code.unwrap()), "{name} stands twice");
        }
    }
    let mut met: BTreeSet<Code> = Code::ALL.iter().copied().collect();
    for of_operators in [Code::Unauthorized, Code::Forbidden] {
        met.remove(&of_operators);
    }
    assert_eq!(listed, met);

    // A status and a code in a sentence.
    for span in guide.code().iter().filter(|code| code.info.is_none()) {
        if let Some((status, name)) = span.text.split_once(' ')
            && let Ok(status) = status.parse::<u16>()
            && name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_')
        {
            let code = Code::ALL.iter().find(|code| code.as_str() == name);
            assert_eq!(code.map(|code| code.status()), Some(status), "{}", span.text);
        }
    }
}

#[test]
fn the_runbook_says_of_every_alert_what_to_do() {
    let folder = outside::repository().join("deploy/prometheus/rules");
    let mut shipped = BTreeSet::new();
    for file in folder.read_dir().unwrap() {
        let rules = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let names = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: "));
        shipped.extend(names.map(str::to_owned));
    }
    assert!(shipped.len() >= 10, "{shipped:?}");
    let runbook = page("runbook.md");
    let table = runbook.text.lines().skip_while(|line| *line != "| alert | look at | do |").skip(2);
    let mut explained = BTreeSet::new();
    for line in table.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [alert, places, what] = cells.as_slice() else { panic!("{line}") };
        assert!(places.len() > 10 && what.len() > 10, "{line}");
        explained.insert(alert.trim_matches('`').to_owned());
    }
    assert_eq!(explained, shipped);
}

#[test]
fn every_call_that_is_named_is_in_the_reference() {
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE"];
    let is_call = |span: &str| span.split_once(" /v1/").is_some_and(|(method, _)| methods.contains(&method));
    let calls_of = |page: &Document| -> BTreeSet<String> {
        let spans = page.code().into_iter().filter(|code| code.info.is_none() && is_call(&code.text));
        spans.map(|code| code.text.split('?').next().unwrap_or_default().to_owned()).collect()
    };
    let reference = page("api.md");
    let rows = reference.text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let known: BTreeSet<&str> = rows.map(|(call, _)| call).filter(|call| is_call(call)).collect();
    let mut named = 0;
    for page in documents() {
        for call in calls_of(&page) {
            named += 1;
            assert!(known.contains(call.as_str()), "{}: {call}", page.path.display());
        }
    }
    assert!(known.len() > 40 && named > known.len(), "{named} calls are named, {} known", known.len());
}
