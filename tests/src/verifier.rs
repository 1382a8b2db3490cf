//! Whether others take our signatures: the published Standard Webhooks packages and the samples of the partner guide.

use std::collections::BTreeMap;
use std::path::Path;

use onering_testkit::{ScratchDir, scratch_dir};
use serde_json::{Value, json};

use crate::guide::guide_block;
use crate::outside::{Ran, is_installed, node_script, python, run, tests_folder};

/// A request as a receiver has it.
#[derive(Debug, Clone)]
pub struct SignedRequest {
    /// What it is, for messages.
    pub what: String,
    /// The secret the receiver knows, or the public key.
    pub secret: String,
    /// The headers, by lower-case name.
    pub headers: BTreeMap<String, String>,
    /// The raw body, in base64.
    pub body_base64: String,
    /// The event it is about.
    pub event_id: String,
    /// The receiver's clock in Unix seconds; the packages take the real one.
    pub now: i64,
}

/// Someone else's verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verifier {
    /// The PyPI package `standardwebhooks`.
    PyPi,
    /// The npm package `standardwebhooks`.
    Npm,
    /// The guide's Python sample.
    GuidePython,
    /// The guide's Node sample.
    GuideNode,
    /// The guide's Node sample for public keys.
    GuideNodeV1a,
    /// The guide's Go sample.
    GuideGo,
}

impl Verifier {
    /// The packages, which know the headers `webhook-*`.
    pub const PACKAGES: [Self; 2] = [Self::PyPi, Self::Npm];

    /// The guide's samples, which know `X-Webhook-Signature`; Go only where it is installed.
    #[must_use]
    pub fn samples() -> Vec<Self> {
        let mut samples = vec![Self::GuidePython, Self::GuideNode];
        if is_installed("go") {
            samples.push(Self::GuideGo);
        } else {
            eprintln!("Go is not installed: the guide's Go sample was not run");
        }
        samples
    }

    /// Which of these requests it takes for genuine and fresh.
    ///
    /// # Panics
    /// When it cannot be run or breaks.
    pub async fn judge(self, requests: &[SignedRequest]) -> Vec<bool> {
        let cases: Vec<Value> = requests.iter().map(SignedRequest::as_json).collect();
        let input = serde_json::to_vec(&cases).unwrap();
        let scratch = scratch_dir("verifier");
        let Ran { code, text } = self.run(&scratch, &input).await;
        assert_eq!(code, 0, "{self:?} broke:\n{text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{self:?}: {error}:\n{text}"))
    }

    /// Holds each request against what must be thought of it.
    ///
    /// # Panics
    /// When a verdict is another one.
    pub async fn assert_verdicts(self, requests: &[(SignedRequest, bool)]) {
        let (cases, expected): (Vec<SignedRequest>, Vec<bool>) = requests.iter().cloned().unzip();
        let verdicts = self.judge(&cases).await;
        assert_eq!(verdicts.len(), expected.len(), "{self:?}");
        for ((case, expected), verdict) in cases.iter().zip(expected).zip(verdicts) {
            let word = |genuine| if genuine { "genuine" } else { "refused" };
            assert_eq!(word(verdict), word(expected), "{self:?} on {}", case.what);
        }
        println!("{self:?}: {} requests judged as they should be", cases.len());
    }

    async fn run(self, scratch: &ScratchDir, input: &[u8]) -> Ran {
        let script = |path: &str| tests_folder().join(path).into_os_string();
        let sample = |name: &str, info: &str| {
            let file = scratch.path().join(name);
            std::fs::write(&file, guide_block(info)).unwrap();
            file.into_os_string()
        };
        let (program, arguments) = match self {
            Self::PyPi => (python().into_os_string(), vec![script("python/standard_webhooks.py")]),
            Self::GuidePython => {
                (python().into_os_string(), vec![script("python/guide.py"), sample("sample.py", "python verify")])
            }
            Self::Npm => ("node".into(), vec![node_script("standard_webhooks.mjs").into_os_string()]),
            Self::GuideNode => {
                ("node".into(), vec![node_script("guide.mjs").into_os_string(), sample("sample.mjs", "js verify")])
            }
            Self::GuideNodeV1a => {
                let sample = sample("sample.mjs", "js verify-v1a");
                ("node".into(), vec![node_script("guide_v1a.mjs").into_os_string(), sample])
            }
            Self::GuideGo => {
                lay_out_go_module(scratch.path());
                ("go".into(), vec!["run".into(), ".".into()])
            }
        };
        run(program, arguments, scratch.path(), input).await
    }
}

fn lay_out_go_module(folder: &Path) {
    std::fs::write(folder.join("go.mod"), "module guide\n\ngo 1.18\n").unwrap();
    std::fs::copy(tests_folder().join("go/main.go"), folder.join("main.go")).unwrap();
    std::fs::create_dir(folder.join("receiver")).unwrap();
    std::fs::write(folder.join("receiver/sample.go"), guide_block("go verify")).unwrap();
}

impl SignedRequest {
    fn as_json(&self) -> Value {
        json!({
            "secret": self.secret, "headers": self.headers, "body_base64": self.body_base64,
            "event_id": self.event_id, "now": self.now,
        })
    }
}
