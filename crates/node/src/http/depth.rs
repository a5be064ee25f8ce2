//! JSON's nesting, measured before anything is parsed: one pass, no recursion, no memory.

/// Whether objects and lists are nested deeper than `depth_max`.
pub(crate) fn is_deeper_than(depth_max: usize, json: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'{' | b'[' => {
                depth += 1;
                if depth > depth_max {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_counted_outside_strings_only() {
        for (json, depth) in [
            ("1", 0),
            ("{}", 1),
            (r#"{"a":[1,{"b":2}],"c":[]}"#, 3),
            (r#"["[[[[", "\"[[[", "\\"]"#, 1),
            ("", 0),
        ] {
            assert!(!is_deeper_than(depth, json.as_bytes()), "{json}");
            assert!(
                depth == 0 || is_deeper_than(depth - 1, json.as_bytes()),
                "{json}"
            );
        }
        let deep = "[".repeat(1_000_000);
        assert!(is_deeper_than(64, deep.as_bytes()));
    }
}
