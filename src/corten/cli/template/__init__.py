"""Go's text/template, as far as `--format` reaches: lexer, parser, evaluator, and the functions that Docker adds.

Written from the language's documentation and from Docker's answers; error sentences are Go's, since users search for them.
"""
