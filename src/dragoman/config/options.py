"""Every option of Dragoman: its name, type, unit and default stand here and nowhere else.

The command line, the TOML recipes, ``config.toml`` of a model folder and the Python API are all
made from these frozen dataclasses. ``"auto"`` means: chosen from the data when training starts;
the choice is then written into the folder's ``config.toml``.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Literal

from dragoman.errors import OptionError

Auto = Literal["auto"]


@dataclass(frozen=True)
class DataOptions:
    """Where the pairs stand in their file, and which of them are used."""

    format: Literal["auto", "tsv", "aligned", "jsonl"] = "auto"
    """How pairs are stored: columns of one file, two aligned files, or JSON lines (auto: by the
    number of files and the ending)."""
    columns: tuple[int, int] = (1, 2)
    """The columns of source and target, counted from 1; others are ignored. The same twice makes
    an autoencoder's pairs."""
    separator: str = "\t"
    """What stands between two columns."""
    fields: tuple[str, str] = ("source", "target")
    """The JSON fields of source and target."""
    reverse: bool = False
    """Swap the sides: learn from the second to the first."""
    max_characters: int = 2000
    """Longest side that is read, in characters; a longer line is counted and left out."""
    tolerance: float = 0.05
    """Largest share of unusable lines before reading stops with an error."""
    validation: int = 1000
    """Pairs held out for validation (at most a tenth of all); split by source side."""
    split_seed: int = 1
    """Seed of the choice of held-out pairs: runs that share it hold out the same pairs of a file,
    whatever their training.seed."""
    drop_unknown: bool = False
    """Leave out pairs with a token outside the vocabulary (see min_count)."""
    validation_pairs: tuple[str, ...] = ()
    """One or two files of validation pairs, read like the training pairs, in place of a split."""


@dataclass(frozen=True)
class SideOptions:
    """How the text of one side becomes tokens."""

    level: Literal["auto", "word", "char", "bpe", "unigram"] = "auto"
    """The unit of text: whole words, characters, or subwords (BPE or unigram)."""
    vocabulary: int | Auto = "auto"
    """Most tokens in the vocabulary, the four special ones included."""
    byte_fallback: bool | Auto = "auto"
    """At subword level: a character never seen in training is spelt in bytes (UTF-8), so that none
    is unknown; they take 222 tokens (auto: unless a vocabulary below 1,000 is asked for)."""
    min_count: int = 1
    """Times that a word or character must be seen in training to enter the vocabulary."""
    unicode: Literal["nfc", "nfd", "nfkc", "nfkd", "none"] = "nfc"
    """The Unicode normal form that text is brought to."""
    lowercase: bool = False
    """Turn text to lower case."""
    strip_accents: bool = False
    """Drop accents (é becomes e)."""
    space_punctuation: str = ""
    """These characters are set apart by spaces, for example ',.!?'."""
    keep_only: str = ""
    """Every character outside this regular-expression class becomes a space: 'a-zA-Z,.!?'."""
    split_punctuation: bool = True
    """At word level: punctuation marks are tokens of their own, joined again on output."""
    max_tokens: int = 100
    """Longest side in tokens; a longer training pair is counted and left out."""
    min_characters: int = 0
    """Shortest side after normalising, in characters; a shorter pair is counted and left out."""
    max_characters: int = 0
    """Longest side after normalising, in characters; a longer pair is left out. 0: no limit."""
    vectors: str = ""
    """A file of word vectors (GloVe, word2vec, fastText as text; .gz) to begin the embeddings
    with; their width is model.embedding."""
    freeze_vectors: bool = False
    """Leave these embeddings as they are in the file."""


@dataclass(frozen=True)
class ModelOptions:
    """The encoder-decoder: sizes and the way its parts are joined."""

    cell: Literal["gru", "lstm", "rnn"] = "gru"
    """The recurrent cell: GRU, LSTM or a plain tanh RNN."""
    embedding: int | Auto = "auto"
    """Width of the embeddings."""
    hidden: int | Auto = "auto"
    """Width of the decoder's state and of the encoder's output."""
    encoder_layers: int = 1
    """Layers of the encoder."""
    decoder_layers: int = 1
    """Layers of the decoder."""
    bidirectional: bool = True
    """Read the source in both directions."""
    directions: Literal["concat", "sum"] = "concat"
    """How the two directions are joined; with concat each has half the width."""
    reverse_source: bool = False
    """Read the source backwards (Sutskever 2014)."""
    residual: bool = False
    """Add what enters every layer but the first to what it gives (for deep stacks)."""
    layer_norm: bool = False
    """Normalise what enters every layer but the first."""
    bridge: Literal["linear", "copy", "zero"] = "linear"
    """How the encoder's final state becomes the decoder's first: linear + tanh, as is, or not."""
    attention: Literal["luong", "bahdanau", "none"] = "luong"
    """Where attention stands: after the RNN (Luong 2015), before it (Bahdanau 2015), or nowhere."""
    score: Literal["general", "dot", "scaled_dot", "concat"] = "general"
    """How a decoder state and an encoder state are compared (Luong 2015, eq. 8)."""
    input_feeding: bool = False
    """Luong: the attentional vector is fed into the next step (slower to train)."""
    copy: bool = False
    """Copy source words into the output where attention looks (pointer-generator, See 2017), those
    outside the vocabulary included; at word or character level."""
    shared_embeddings: bool = False
    """One vocabulary and one embedding table for both sides."""
    tied_output: bool = False
    """The output layer uses the target embeddings as its weights (embedding = hidden)."""
    dropout: float | Auto = "auto"
    """Share of values dropped on embeddings, between layers and before the output."""


@dataclass(frozen=True)
class TrainingOptions:
    """How the weights are found."""

    steps: int = 0
    """Most optimizer steps; 0: no limit."""
    epochs: int = 0
    """Most passes over the data; 0: no limit."""
    budget: str = "none"
    """Most wall-clock time, such as 90s, 20m or 1h30m: of all commands that one run took."""
    batching: Literal["tokens", "sentences", "buckets"] = "tokens"
    """What a batch is filled to: target tokens, a number of pairs, or a number of pairs from one
    length bucket, drawn uniformly over the buckets."""
    batch_tokens: int | Literal["auto", "fastest"] = "auto"
    """Target tokens of a batch, padding included (auto: by the amount of data; fastest: measured
    here, within memory. A larger batch may be faster and yet learn less in the same time)."""
    batch_sentences: int = 64
    """Pairs of a batch, where it is not filled by tokens."""
    buckets: tuple[tuple[int, int], ...] = ((5, 10), (7, 12), (11, 17), (50, 60))
    """Most source and target tokens of each length bucket; longer pairs are not used."""
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop", "adagrad"] = "adam"
    """The optimizer."""
    momentum: float = 0.0
    """Momentum of SGD and RMSprop."""
    learning_rate: float | Auto = "auto"
    """The highest learning rate (auto: 0.002 up to 512 hidden units, 0.001 above)."""
    weight_decay: float = 0.0
    """Weight decay: decoupled in AdamW, a part of the gradient in SGD, RMSprop and Adagrad. Spares
    the biases."""
    decoder_rate: float = 1.0
    """The learning rate of all but the encoder, as a multiple of the encoder's."""
    schedule: Literal["auto", "constant", "cosine", "linear", "inverse_sqrt", "step", "plateau"] = (
        "auto"
    )
    """How the learning rate falls (auto: cosine when steps, epochs or budget end the run, else
    plateau: halved whenever validation stops improving)."""
    warmup: int = 100
    """Steps over which the learning rate rises from zero."""
    decay: float = 0.99
    """Factor of the learning rate in the schedule "step"."""
    decay_every: int = 100
    """Steps between two of its cuts."""
    clip: float = 1.0
    """Largest norm of all gradients together; 0: no clipping."""
    clip_parts: bool = False
    """Clip the encoder's gradients and the rest's each by their own norm."""
    objective: Literal["full", "sampled"] = "full"
    """The softmax in training: over the whole vocabulary, or over sampled words."""
    samples: int = 512
    """Words sampled for a batch (objective "sampled")."""
    scheduled_sampling: Literal["none", "sequence", "token", "parallel"] = "none"
    """Let the decoder read its own guesses: for whole sentences, for single tokens, or for single
    tokens guessed in a first unrolled pass."""
    sampling_share: float = 0.5
    """Largest share of sentences or tokens that are its own guesses."""
    sampling_schedule: Literal["constant", "linear", "inverse_sigmoid"] = "constant"
    """How that share grows over a run with an end."""
    label_smoothing: float = 0.1
    """Share of the probability spread evenly over the vocabulary."""
    validate_every: int | Literal["auto", "epoch"] = "auto"
    """Steps between validations, or at the end of every epoch (auto: half an epoch, between 100
    and 1,000 steps)."""
    validation_sample: int = 500
    """Held-out pairs translated at each validation for its scores."""
    metric: Literal["chrf", "bleu", "exact", "loss"] = "chrf"
    """What decides which weights are best, on held-out pairs."""
    patience: int = 10
    """Validations without improvement before training stops; 0: never."""
    save_every: int | Literal["auto", "epoch"] = "auto"
    """Steps between checkpoints (auto: at each validation)."""
    keep: int = 2
    """Latest checkpoints that are kept."""
    report_every: int = 50
    """Steps between two lines of progress and of metrics.jsonl."""
    start_from: str = ""
    """Another model folder, to begin with parts of it; its tokenizers come with them."""
    parts: tuple[Literal["encoder", "decoder"], ...] = ("encoder", "decoder")
    """The parts taken from start_from; the decoder brings bridge and output layer."""
    freeze: bool = False
    """Do not train the parts taken from start_from."""
    watch: tuple[str, ...] = ()
    """Sentences translated at each validation."""
    show_every: int = 0
    """Steps between two looks at the first two training pairs on their way through the model, every
    value with its shape; 0: none."""
    track: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Experiment trackers that are sent options and curves; TensorBoard's files are written into
    the model folder, the others go where their own settings say."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Number format of the products (auto: bf16 where the processor has it)."""
    threads: int | Auto = "auto"
    """Processor threads (auto: one a core); a resumed run keeps their number."""
    deterministic: bool = False
    """Only operations that add in a fixed order: on a GPU the same run again has the same numbers,
    more slowly; on a processor it has them anyway, with as many threads."""
    seed: int = 1
    """Seed of weights, dropout and order: the same seed gives the same run."""


@dataclass(frozen=True)
class SearchOptions:
    """How the best output is looked for."""

    beam: int = 5
    """Hypotheses kept a step; 1: greedy."""
    n_best: int = 1
    """Outputs given for each line (with --json), no more than the beam."""
    length_penalty: float = 1.0
    """Exponent of the length by which a hypothesis' score is divided; 0: no normalisation."""
    normalization: Literal["average", "wu"] = "average"
    """What that exponent is of: the length, or (5 + length) / 6 (Wu 2016)."""
    coverage_penalty: float = 0.0
    """What it costs to leave source tokens without attention (Wu 2016)."""
    diversity: float = 0.0
    """What a hypothesis loses for each better one with the same parent, so that those kept differ
    (Li 2016)."""
    no_repeat: int = 0
    """No n-gram of so many tokens comes twice in an output; 0: it may."""
    min_ratio: float = 0.0
    """Shortest output, as a multiple of the source's tokens."""
    max_ratio: float = 2.0
    """Longest output, as a multiple of the source's tokens (and 20 more)."""
    temperature: float = 0.0
    """Draw words at random at this temperature instead of searching; 0: search."""
    top_k: int = 0
    """Draw from so many most probable words only; 0: from all."""
    top_p: float = 1.0
    """Draw from the fewest words that together have this probability."""
    sampling_seed: int = 1
    """Seed of the draws: with it, a line has the same outputs in any company."""
    unknown: Literal["copy", "drop", "keep"] = "copy"
    """A word outside the vocabulary: copied from where attention looked (without attention:
    dropped), never said, or said as <unk>."""
    long: Literal["split", "truncate"] = "split"
    """A line longer than source.max_tokens: split at sentence ends and joined again, or cut off."""
    batch_size: int | Auto = "auto"
    """Whole beams at work together (auto: 1,024 hypotheses); the output does not depend on it."""
    int8: bool = False
    """Multiply numbers of 8 bits, on a processor with AVX-512 VNNI: 1.6 times as fast with a beam.
    One answer in thirty becomes another one, no worse on average (docs/log.md)."""

    @property
    def hypotheses(self) -> int:
        """Most hypotheses of a line at a time."""
        return self.n_best if self.temperature > 0 else self.beam


@dataclass(frozen=True)
class Config:
    """Every option of a run."""

    data: DataOptions = field(default_factory=DataOptions)
    source: SideOptions = field(default_factory=SideOptions)
    target: SideOptions = field(default_factory=SideOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    search: SearchOptions = field(default_factory=SearchOptions)


_DURATION = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


def seconds(budget: str) -> float:
    """Turn ``90s``, ``20m`` or ``1h30m`` into seconds; ``none`` into infinity.

    Raises:
        OptionError: the text is none of these.
    """
    if budget == "none":
        return math.inf
    match = _DURATION.fullmatch(budget.replace(" ", "").lower())
    if not match or not any(match.groups()):
        raise OptionError(
            f"{budget!r} is not a duration", place="training.budget", cure="such as 90s, 20m, 1h30m"
        )
    hours, minutes, rest = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + rest
