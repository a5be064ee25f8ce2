//! Claims: each is told, checked, and counted.

use std::fmt::Debug;
use std::time::Duration;

use crate::failure::Failure;
use crate::output;
use crate::wording;

/// What was claimed so far.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    chapters: usize,
    held: usize,
    failed: Vec<String>,
}

impl Claims {
    /// A new chapter.
    pub(crate) fn chapter(&mut self, title: &str) {
        self.chapters += 1;
        output::line(&format!("\n{}. {title}", self.chapters));
    }

    /// A sentence that claims nothing.
    pub(crate) fn told(&self, sentence: &str) {
        output::line(&indented(sentence));
    }

    /// Something that holds or not.
    pub(crate) fn equal<T: PartialEq + Debug>(&mut self, claim: &str, expected: &T, seen: &T) {
        if expected == seen {
            self.held(claim);
        } else {
            self.fail(&format!("{claim}: expected {expected:?}, seen {seen:?}"));
        }
    }

    /// Something that holds in every region or not.
    pub(crate) fn everywhere<T: PartialEq + Debug>(
        &mut self,
        claim: &str,
        expected: &T,
        seen: &[(String, T)],
    ) {
        let other: Vec<_> = seen
            .iter()
            .filter(|(_, seen)| seen != expected)
            .map(|(region, seen)| format!("{seen:?} in {region}"))
            .collect();
        if other.is_empty() && !seen.is_empty() {
            self.held(claim);
        } else {
            self.fail(&format!(
                "{claim}: expected {expected:?}, seen {}",
                other.join(", ")
            ));
        }
    }

    /// Something that was waited for and came.
    pub(crate) fn held(&mut self, claim: &str) {
        self.held += 1;
        output::line(&indented(&format!("✓ {claim}")));
    }

    fn fail(&mut self, claim: &str) {
        self.failed.push(claim.to_owned());
        output::line(&indented(&format!("✗ {claim}")));
    }

    /// The sum of it all.
    pub(crate) fn conclude(&self, taken: Duration) -> Result<(), Failure> {
        let all = self.held + self.failed.len();
        let taken = wording::duration(taken);
        if self.failed.is_empty() {
            output::line(&format!("\n✓ All {all} claims hold ({taken})."));
            return Ok(());
        }
        let failed = self.failed.len();
        Err(Failure::new(format!(
            "{failed} of {all} claims do not hold ({taken})\n- {}",
            self.failed.join("\n- ")
        )))
    }
}

/// As it stands below a chapter's title.
pub(crate) fn indented(text: &str) -> String {
    let lines: Vec<_> = text
        .lines()
        .map(|line| format!("   {line}").trim_end().to_owned())
        .collect();
    lines.join("\n")
}
