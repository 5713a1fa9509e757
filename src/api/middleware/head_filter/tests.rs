use super::*;

fn filtered(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let (mut filter, mut at) = (HeadFilter::new(), 0);
    while at < bytes.len() {
        at += filter.accept(&mut bytes[at..]).unwrap().0;
    }
    String::from_utf8(bytes).unwrap()
}

#[test]
fn offers_to_upgrade_are_hidden_and_nothing_else_is() {
    assert_eq!(
        filtered("GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUPGRADE: h2c\r\n\r\n"),
        "GET / HTTP/1.1\r\nConnection: xxxxxxx, HTTP2-Settings\r\nxxxxxxx: h2c\r\n\r\n"
    );
    for text in [
        "GET /upgrade: HTTP/1.1\r\nConnection: close\r\nX-Upgrade: h2c\r\nUpgraded: x\r\n\r\n",
        "GET / HTTP/1.1\r\nX: Connection: upgrade\r\nUpgrade\r\n\r\n{\"upgrade:\": \"Upgrade: x\"}",
    ] {
        assert_eq!(filtered(text), text);
    }
}

/// The lengths of the heads in a text that arrives in pieces of this size; 0 for one that is too long.
fn heads(text: &str, size: usize) -> Vec<usize> {
    let (mut filter, mut found, mut length) = (HeadFilter::new(), Vec::new(), 0);
    for piece in text.as_bytes().to_vec().chunks_mut(size) {
        let mut at = 0;
        while at < piece.len() {
            let Some((accepted, is_whole)) = filter.accept(&mut piece[at..]) else {
                found.push(0);
                return found;
            };
            (at, length) = (at + accepted, length + accepted);
            if is_whole {
                found.push(std::mem::take(&mut length));
            }
        }
    }
    found
}

#[test]
fn heads_end_at_empty_lines_however_the_bytes_are_cut() {
    let line = format!("{}\r\n", "a".repeat(32_000));
    let text = format!("\r\n{line}{line}\r\n{line}\n\n\r\nGET\n\r\n{line}{line}{line}");
    for size in [1, 2, 3, 7, 8_192, 65_536, 1 << 20] {
        assert_eq!(heads(&text, size), [64_008, 32_003, 9, 0], "{size}");
    }
}
