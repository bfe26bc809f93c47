//! Compiles the formulas of `operands.abi` to the bytes of `src/operands/code.rs`.

use crate::code;

/// Resolves the names in a formula.
pub(crate) trait Names {
    /// The position of a parameter.
    fn parameter(&self, name: &str) -> u8;
    /// The position of an enum parameter and its enum's first value.
    fn choice(&self, name: &str) -> (u8, u8);
    /// The number of an operand.
    fn operand(&self, name: &str) -> u8;
}

/// A formula as postfix code, with the end marker. Panics, and so stops the build, if the text is not a
/// formula.
pub(crate) fn compile(text: &str, names: &dyn Names) -> Vec<u8> {
    let mut parser = Parser { text, rest: text, names, code: Vec::new(), depth: 0 };
    parser.sum();
    parser.check(parser.rest.is_empty());
    parser.code.push(code::END);
    parser.code
}

struct Parser<'a> {
    text: &'a str,
    rest: &'a str,
    names: &'a dyn Names,
    code: Vec<u8>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn check(&self, fits: bool) {
        assert!(fits, "operands.abi: not a formula at `{}`: {}", self.rest, self.text);
    }

    fn skip(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, text: &str) {
        let is_there = self.skip(text);
        self.check(is_there);
    }

    fn word(&mut self) -> &'a str {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let (word, rest) =
            self.rest.split_at(self.rest.find(|c| !is_part(c)).unwrap_or(self.rest.len()));
        self.check(!word.is_empty());
        self.rest = rest;
        word
    }

    fn push(&mut self, bytes: &[u8]) {
        self.code.extend(bytes);
        self.depth += 1;
        assert!(self.depth <= code::DEPTH, "operands.abi: too deep a formula: {}", self.text);
    }

    fn join(&mut self, bytes: &[u8]) {
        self.code.extend(bytes);
        self.depth -= 1;
    }

    fn sum(&mut self) {
        self.product();
        loop {
            let operation = match () {
                () if self.skip("+") => code::ADD,
                () if self.skip("-") => code::SUBTRACT,
                () => return,
            };
            self.product();
            self.join(&[operation]);
        }
    }

    fn product(&mut self) {
        self.factor();
        loop {
            let operation = match () {
                () if self.skip("*") => code::MULTIPLY,
                () if self.skip("/") => code::DIVIDE,
                () => return,
            };
            self.factor();
            self.join(&[operation]);
        }
    }

    fn factor(&mut self) {
        if self.skip("(") {
            self.sum();
            return self.expect(")");
        }
        if self.skip("|") {
            let operand = self.word();
            self.push(&[code::ELEMENTS, self.names.operand(operand)]);
            return self.expect("|");
        }
        let word = self.word();
        if self.skip("(") {
            self.sum();
            self.expect(",");
            self.sum();
            self.expect(")");
            if word == "min" {
                return self.join(&[code::MIN]);
            }
            let (parameter, first) = self.names.choice(word);
            return self.join(&[code::CHOOSE + parameter, first]);
        }
        match word.parse() {
            Ok(number) => self.push(&[code::NUMBER, number]),
            Err(_) => {
                self.check(!word.starts_with(|c: char| c.is_ascii_digit()));
                self.push(&[self.names.parameter(word)]);
            }
        }
    }
}
