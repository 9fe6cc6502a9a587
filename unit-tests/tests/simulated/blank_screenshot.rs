//! What there is to see on pictures of pages, as a browser took them.

use std::{fs, path::Path};

use harness::pure::run::blank_screenshot::{Frame, Picture, fitting};

fn file(name: &str) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pictures").join(name).with_extension("png");
    fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn picture(name: &str) -> Picture {
    Picture::read(&file(name)).unwrap()
}

#[test]
fn a_page_is_told_from_one_that_is_not_there_yet() {
    for (name, frame) in [
        ("blank", Frame::Blank),
        ("blank-dark", Frame::Blank),
        ("blank-gradient", Frame::Blank),
        ("spinner", Frame::Lone),
        ("spinner-dark", Frame::Lone),
        ("heading", Frame::Painted),
        ("one-line", Frame::Painted),
        ("centred", Frame::Painted),
        ("form", Frame::Painted),
        ("bar", Frame::Painted),
    ] {
        assert_eq!(picture(name).frame(), frame, "{name}");
    }
}

#[test]
fn something_small_in_the_middle_is_a_page_once_it_stands_still() {
    for (name, still, shows) in [
        ("blank", false, false),
        ("blank", true, false),
        ("spinner", false, false),
        ("spinner", true, true),
        ("heading", false, true),
        ("heading", true, true),
    ] {
        assert_eq!(picture(name).shows_a_page(still), shows, "{name}, still: {still}");
    }
}

#[test]
fn a_picture_that_is_too_large_is_halved_until_it_fits() {
    let whole = file("form");
    assert_eq!(fitting(whole.clone(), whole.len()).unwrap(), whole, "one that fits stays as it is");
    let half = fitting(whole.clone(), whole.len() - 1).unwrap();
    let (before, after) = (Picture::read(&whole).unwrap(), Picture::read(&half).unwrap());
    assert!(half.len() < whole.len());
    assert_eq!((after.width, after.height), (before.width / 2, before.height / 2));
    assert_eq!(after.frame(), Frame::Painted);
    assert!(fitting(whole, 10).is_err(), "nothing fits into ten bytes");
}

#[test]
fn what_is_written_reads_as_what_it_was() {
    let picture = picture("centred");
    assert_eq!(Picture::read(&picture.written().unwrap()).unwrap(), picture);
    assert!(Picture::read(b"GIF89a").is_err());
    assert_eq!(Picture { width: 0, height: 0, pixels: Vec::new() }.frame(), Frame::Blank);
}
