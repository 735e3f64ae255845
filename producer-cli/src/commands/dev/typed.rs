//! What to type: the program's own name as the user would have to write it here.

use std::fmt;
use std::path::Path;

/// The program as it was called, so that what is printed works as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program(String);

impl Program {
    /// From the process' own arguments.
    pub(crate) fn from_arguments() -> Self {
        // A name that is no text cannot be typed either; it is not worth an end.
        Self::called(std::env::args_os().next().map(|name| name.to_string_lossy().into_owned()).as_deref())
    }

    /// A path stays one (`cargo run` calls `target/release/longshore`), a bare name was found on the PATH.
    fn called(name: Option<&str>) -> Self {
        let name = name.filter(|name| !name.contains('/') || Path::new(name).exists()).unwrap_or("longshore");
        Self(quoted(name))
    }
}

/// A word as a shell takes it for itself.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+:@%=,".contains(&byte);
    match word {
        word if !word.is_empty() && word.bytes().all(plain) => word.to_owned(),
        word => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Program;

    #[test]
    fn a_program_is_named_as_it_was_called() {
        let called = |name| Program::called(name).to_string();
        assert_eq!(called(Some("longshore")), "longshore");
        assert_eq!(called(Some("/bin/sh")), "/bin/sh");
        assert_eq!(called(Some("/nowhere/longshore")), "longshore");
        assert_eq!(called(Some("it's")), "'it'\\''s'");
        assert_eq!(called(None), "longshore");
    }
}
