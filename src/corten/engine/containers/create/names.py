"""Names of containers: which are valid, what refuses one, and how a free one is made up."""

import re
import secrets
from collections.abc import Callable

from corten.errors import Invalid

_VALID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")

QUALITIES = (
    "able amber apt ardent balanced bold brave bright brisk calm candid clear clever cosy curious daring deft eager earnest "
    "easy fair fast fearless fluent frank fresh gentle glad golden grand hardy honest humble keen kind lasting lively lucid "
    "mellow merry mighty modest neat nimble noble open patient plain playful polite prompt proud pure quick quiet ready "
    "resolute robust rustic sage serene sharp silent sincere sleek smooth sober solid sound spry steady stout strong subtle "
    "sunny sure swift tender thrifty tidy tranquil trusty upbeat vivid warm weathered welcome willing wise witty zesty"
)
# People who taught us to build with metal, to compute, and to make machines learn.
MAKERS = (
    "agnesi allen amdahl ampere anning antonelli babbage backus bardeen bartik bayes bell bernoulli bessemer bethe boole born "
    "boyd brooks brunel cantor cauchy cerf chebyshev church codd cohn conway cort cray curie darby dennis diffie dijkstra "
    "eckert edison eiffel elion erdos euler fano faraday fermi feynman finsen fourier franklin frobenius galois gauss gibbs "
    "goldberg goldwasser hadamard hamilton hamming hebb hellman hertz hilbert hoare holberton hopper huffman hypatia ising "
    "jacobi jennings johnson jordan joule kahan kalman karp karush kay kernighan kirchhoff knuth kolmogorov kuhn lagrange "
    "laplace legendre leibniz liskov lovelace lyapunov markov maxwell mccarthy mcculloch meitner milner minsky monier nash "
    "naur neumann newell newton noether noyce nyquist olsen pascal pearl perlis planck poisson polhem ramanujan riemann "
    "ritchie rosenblatt roebling rivest samuel shannon simon snyder sobolev spence stibitz sutherland tarjan telford tesla "
    "thompson turing vapnik vaughan viterbi volta watt wiener wilkes wilkinson wirth wozniak yates zuse"
)


def check_name(name: str, *, shown: str | None = None) -> None:
    """Raise Invalid unless `name` (without a leading slash) may name a container."""
    if not _VALID.fullmatch(name):
        given = name if shown is None else shown
        raise Invalid(f"Invalid container name ({given}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", reason="bad-name")


def free_name(is_taken: Callable[[str], bool]) -> str:
    """A readable name nobody has: quality_maker, with a digit once the plain ones are often taken."""
    tries = 0
    while True:
        name = f"{secrets.choice(QUALITIES.split())}_{secrets.choice(MAKERS.split())}"
        if tries > 5:
            name += str(secrets.randbelow(10 ** (1 + tries // 10)))
        if not is_taken(name):
            return name
        tries += 1
