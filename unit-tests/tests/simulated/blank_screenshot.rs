//! Recognition of blank screenshots, on pictures that a browser took.

use std::{fs, path::Path};

use harness::pure::run::blank_screenshot::{Content, Picture, fitting};

fn file(name: &str) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pictures").join(name).with_extension("png");
    fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn picture(name: &str) -> Picture {
    Picture::read(&file(name)).unwrap()
}

#[test]
fn picture_of_page_is_painted_and_others_are_blank_or_lone() {
    for (name, expected) in [
        ("blank", Content::Blank),
        ("blank-dark", Content::Blank),
        ("blank-gradient", Content::Blank),
        ("spinner", Content::Spinner),
        ("spinner-dark", Content::Spinner),
        ("heading", Content::Page),
        ("one-line", Content::Page),
        ("centred", Content::Page),
        ("form", Content::Page),
        ("bar", Content::Page),
    ] {
        assert_eq!(picture(name).content(), expected, "{name}");
    }
}

#[test]
fn lone_object_shows_a_page_once_it_stands_still() {
    for (name, still, expected) in [
        ("blank", false, false),
        ("blank", true, false),
        ("spinner", false, false),
        ("spinner", true, true),
        ("heading", false, true),
        ("heading", true, true),
    ] {
        assert_eq!(picture(name).shows_a_page(still), expected, "{name}, still: {still}");
    }
}

#[test]
fn picture_that_fits_stays_unchanged() {
    let whole = file("form");

    let fitted = fitting(whole.clone(), whole.len()).unwrap();

    assert_eq!(fitted, whole);
}

#[test]
fn picture_that_is_too_large_is_halved_until_it_fits() {
    let whole = file("form");

    let half = fitting(whole.clone(), whole.len() - 1).unwrap();

    let (before, after) = (Picture::read(&whole).unwrap(), Picture::read(&half).unwrap());
    assert!(half.len() < whole.len());
    assert_eq!((after.width, after.height), (before.width / 2, before.height / 2));
    assert_eq!(after.content(), Content::Page);
    assert!(fitting(whole, 10).is_err(), "no picture fits into ten bytes");
}

#[test]
fn written_picture_reads_as_itself() {
    let picture = picture("centred");

    let again = Picture::read(&picture.written().unwrap()).unwrap();

    assert_eq!(again, picture);
}

#[test]
fn file_that_is_no_png_is_refused() {
    assert!(Picture::read(b"GIF89a").is_err());
}

#[test]
fn picture_without_pixels_is_blank() {
    assert_eq!(Picture { width: 0, height: 0, pixels: Vec::new() }.content(), Content::Blank);
}
