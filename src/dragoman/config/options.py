"""Every option of Dragoman: its name, type, range, default and meaning.

The command line, the TOML recipes, ``config.toml`` of a model folder and the Python API are all
made from these frozen dataclasses. ``"auto"`` means: chosen from the data when training starts.
The choice is then written into the folder's ``config.toml``.

A :class:`Range` in an annotation says which numbers an option takes.
``rules.py`` checks it, and which options contradict each other.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from dragoman.config.values import Amount, Auto, Count, PositiveCount, Range, Seed, Share

Format = Literal["auto", "tsv", "csv", "aligned", "jsonl", "json", "table", "xml", "po", "anki"]
Casing = Literal["auto", "plain", "turkish", "greek", "lithuanian"]
Schedule = Literal["auto", "constant", "cosine", "linear", "inverse_sqrt", "step", "plateau"]


@dataclass(frozen=True)
class ReadingOptions:
    """How pairs of text are read from a file."""

    format: Format = "auto"
    """How the file stores pairs. auto: told by its first bytes and its name.
    tsv is columns of plain text; csv is columns that may be quoted; aligned
    is two files, line n of one belongs to line n of the other; jsonl is one
    JSON object a line; json is an array of objects; table is Parquet or
    Arrow; xml is TMX or XLIFF; po is gettext's translations of a program."""
    columns: Annotated[tuple[int | str, int | str], Range(1)] = (1, 2)
    """tsv, csv, anki: the columns of source and target, counted from 1, or
    their names in the first line; other columns are not read. The same
    column twice trains an autoencoder."""
    separator: str = "auto"
    """tsv, csv: the text between two columns (auto: a tab, or what csv was
    found to have)."""
    header: bool | Auto = "auto"
    """tsv, csv: the first line names the columns and is no pair (auto: when
    its words are names of languages and the like)."""
    fields: tuple[str, str] = ("source", "target")
    """jsonl, json, table: the fields that hold source and target; a
    point leads into an object, such as translation.en. A file without these
    has its only two texts read."""
    features_column: Annotated[tuple[int | str, ...], Range(1)] = ()
    """tsv, csv: columns of tags, by number or name, that say what is asked for of
    the source, such as V;PST;3 for a form of a word. Each tag, between ; or
    spaces, is a token of its own. A source is then written with a tab:
    go<TAB>V;PST;3."""
    target_tag: str = ""
    """A tag of every source, as if of one more such column: in a model of
    several languages, the one to write, such as en."""
    languages: tuple[str, str] | Auto = "auto"
    """xml: the codes of the source and the target language in TMX, such as
    en fr (auto: the first two in the file)."""
    reverse: bool = False
    """Swap source and target."""
    max_characters: Annotated[int, Range(1, below=10**9)] = 2000
    """Longest source or target, in characters. Longer lines are left out and
    counted."""
    tolerance: Annotated[float, Range(0, below=1)] = 0.05
    """Largest share of unusable lines (0 to 1). With more, reading stops
    with an error."""

    @property
    def features(self) -> int:
        """Number of columns of features that a source has."""
        return len(self.features_column) + bool(self.target_tag)


@dataclass(frozen=True)
class DataOptions(ReadingOptions):
    """How the pairs are read, and which are held out for validation."""

    validation: Count = 1000
    """Number of pairs held out for validation, at most a tenth of all. Pairs
    with the same source are held out together."""
    split_seed: Seed = 1
    """Seed of the choice of held-out pairs. Runs with the same split seed
    hold out the same pairs of a file, whatever their training seed."""
    validation_pairs: tuple[str, ...] = ()
    """One file of validation pairs, or two aligned files, read like the
    training pairs. Then no training pair is held out."""
    also: tuple[str, ...] = ()
    """More files of pairs, read like the training pairs, each with a weight:
    more.tsv=0.3 draws 30 % of its pairs anew for each epoch, more.tsv=2 has
    all of them twice, more.tsv all of them once. None of them is held out."""
    tag_also: str = ""
    """A tag before each source of these files, such as <bt> for pairs that a
    model has made (Caswell et al. 2019)."""
    replay: Annotated[float | Literal["none"], Range(0, below=1)] = "none"
    """Share of an epoch's pairs that are drawn from those that the model of
    training.start_from has learned, but at most as many as an epoch of it
    had; its held-out pairs are validated beside the new ones. 0.95 where a
    model is continued. none: its pairs are not read."""
    drop_unknown: bool = False
    """Leave out training pairs with a token outside the vocabulary (see
    min_count)."""


@dataclass(frozen=True)
class SideOptions:
    """How the text of one side (source or target) becomes tokens."""

    level: Literal["auto", "word", "char", "bpe", "unigram"] = "auto"
    """What a token is: a word, a character, or a subword (auto: char where
    lines are single words or a script has no spaces; word for up to 200
    different words, or 1,500 that each come 50 times on average; else
    bpe)."""
    vocabulary: Annotated[int | Auto, Range(5)] = "auto"
    """Largest size of the vocabulary, in tokens; 4 special tokens are part
    of it (auto: subwords, one for every 60 running words, from 500 to
    8,000, byte_fallback's besides; words and characters, 50,000)."""
    byte_fallback: bool | Auto = "auto"
    """Subwords: write a character that training never saw as its UTF-8
    bytes, so that no text is unknown. This takes 222 tokens of the
    vocabulary (auto: on, unless vocabulary is below 1,000)."""
    min_count: PositiveCount = 1
    """Words and characters: how often one must occur in training to enter
    the vocabulary."""
    unicode: Literal["auto", "nfc", "nfd", "nfkc", "nfkd", "none"] = "auto"
    """The Unicode normal form to which text is brought (auto: nfc, but nfd,
    which writes the letters of a Korean syllable one by one, for sources
    of level char where the targets are not in Hangul)."""
    keep_invisible: str = "auto"
    """Invisible characters that stay in the text, such as 'U+200B U+00AD';
    others are dropped (auto: those that a twentieth of the training texts
    has)."""
    lowercase: bool = False
    """Make text lower case."""
    casing: Casing = "auto"
    """Lowercase: the language whose rules hold. turkish turns I into ı, greek
    ends words in ς, lithuanian keeps the dot of an accented i (auto: by
    the letters of the training text)."""
    strip_accents: bool = False
    """Remove accents (é becomes e), and vowel signs of other scripts."""
    space_punctuation: str = ""
    """Put spaces around each of these characters, for example ',.!?'."""
    keep_only: str = ""
    """Replace every character outside this regular-expression class by a
    space, for example 'a-zA-Z,.!?'."""
    split_punctuation: bool = True
    """Words: make each punctuation mark a token of its own; output text
    joins them again."""
    max_tokens: PositiveCount = 100
    """Longest training example on this side, in tokens. Longer pairs are
    left out and counted."""
    min_characters: Count = 0
    """Shortest text after normalising, in characters. Shorter pairs are left
    out and counted."""
    max_characters: Count = 0
    """Longest text after normalising, in characters. Longer pairs are left
    out; 0: no limit."""
    vectors: str = ""
    """A file of word vectors with which the embeddings start: GloVe,
    word2vec or fastText, as text or .gz. Their width must be
    model.embedding."""
    freeze_vectors: bool = False
    """Do not train the embeddings that come from this file."""


@dataclass(frozen=True)
class TransformerOptions:
    """The layers of a Transformer, for the families transformer and hybrid."""

    encoder_layers: Annotated[int, Range(1, below=65)] = 4
    """Number of encoder layers."""
    decoder_layers: Annotated[int, Range(1, below=65)] = 2
    """Number of decoder layers (transformer)."""
    heads: Annotated[int, Range(1, below=2**16)] = 4
    """Number of attention heads, between which model.hidden is divided."""
    feed_forward: Annotated[int, Range(0, below=2**18)] = 0
    """Width of the feed-forward part of a layer; 0: four times model.hidden."""


@dataclass(frozen=True)
class ModelOptions:
    """The encoder-decoder network."""

    family: Literal["recurrent", "transformer", "hybrid"] = "recurrent"
    """recurrent: an RNN reads the source and another writes the target;
    transformer: self-attention does both; hybrid: a Transformer reads and
    an RNN writes (Chen 2018). The options of the group transformer are of
    the last two."""
    cell: Literal["gru", "lstm", "rnn"] = "gru"
    """The recurrent cell: GRU, LSTM, or a plain tanh RNN."""
    embedding: Annotated[int | Auto, Range(1, below=2**16)] = "auto"
    """Width of the embeddings (auto: 64, 128 or 256, by the target tokens of
    the training pairs; as hidden with tied_output, transformer and hybrid)."""
    hidden: Annotated[int | Auto, Range(1, below=2**16)] = "auto"
    """Width of the decoder's state and of the encoder's outputs (auto: 128,
    256 or 512, by the target tokens of the training pairs; half of that for
    transformer and hybrid)."""
    encoder_layers: Annotated[int, Range(1, below=65)] = 1
    """Number of encoder layers."""
    decoder_layers: Annotated[int, Range(1, below=65)] = 1
    """Number of decoder layers."""
    bidirectional: bool = True
    """Read the source forwards and backwards."""
    directions: Literal["concat", "sum"] = "concat"
    """How the two directions are joined: concat gives each half of the
    width; sum adds them."""
    reverse_source: bool = False
    """Read the source backwards (Sutskever 2014)."""
    residual: bool = False
    """Add the input of every layer but the first to its output (for deep
    stacks)."""
    layer_norm: bool = False
    """Normalise the input of every layer but the first (LayerNorm)."""
    bridge: Literal["linear", "copy", "zero"] = "linear"
    """How the decoder's first state comes from the encoder's last: linear is
    a linear layer with tanh, copy takes it as it is, zero starts from
    zeros."""
    attention: Literal["luong", "bahdanau", "monotonic", "none"] | Auto = "auto"
    """Attention after the recurrent cell (luong: Luong 2015), before it
    (bahdanau: Bahdanau 2015), or none. monotonic: each token comes from one
    source token, and these stand in the same order (Wu and Cotterell 2019);
    it is for words that are spelt, and its memory grows with the vocabulary
    (auto: monotonic for up to 3,000 pairs of words whose targets keep the
    order of their sources, if nothing is copied; bahdanau for other words
    with tags; else luong)."""
    score: Literal["general", "dot", "scaled_dot", "concat"] = "general"
    """How attention scores a decoder state against an encoder state (Luong
    2015, eq. 8)."""
    attention_weights: Literal["softmax", "entmax", "sparsemax"] = "softmax"
    """How attention makes weights of scores: softmax; or entmax-1.5 (Peters
    2019), which gives most source tokens no weight at all; or sparsemax
    (Martins and Astudillo 2016), which gives weight to fewer still."""
    input_feeding: bool = False
    """Luong: feed the attentional vector into the next step (trains more
    slowly)."""
    copy: bool | Auto = "auto"
    """Let the output copy source words, also unknown ones, by attention
    (pointer-generator, See 2017). Works on words and characters (auto: True
    for words that are spelt, if more than one held-out target of a hundred
    has a letter of its source that training saw in no target; else, and
    always with data.validation_pairs, False)."""
    shared_embeddings: bool = False
    """Use one vocabulary and one embedding table for both sides."""
    tied_output: bool = False
    """Use the target embeddings as the weights of the output layer;
    embedding must equal hidden."""
    output_probabilities: Literal["softmax", "entmax"] = "softmax"
    """How the output layer makes probabilities of scores: softmax, with
    cross-entropy as the loss; or entmax-1.5 with the entmax loss (Peters
    2019), which gives most words a probability of 0. It costs more with a
    larger vocabulary: use it for words and characters."""
    dropout: Annotated[float | Auto, Range(0, below=1)] = "auto"
    """Share of values dropped on embeddings, between layers and before the
    output (0 to 1; auto: 0.5 for up to 20,000 pairs of words, but 0.3 for
    more than 3,000 with tags; else 0.1 where targets are words or
    characters, and 0.3 or, from a million target tokens on, 0.2 for
    subwords)."""
    transformer: TransformerOptions = field(default_factory=TransformerOptions)

    @property
    def copies(self) -> bool:
        """Whether the output copies source words; False while ``copy`` is still "auto"."""
        return self.copy is True

    def __str__(self) -> str:
        """Family and sizes in a few words."""
        group, also = self.transformer, ", copying" * self.copies
        read = f"{group.encoder_layers} Transformer layers of {group.heads} heads"
        if self.family == "transformer":
            return f"{read} {self.embedding}, {group.decoder_layers} that write"
        written = f"{self.cell} {self.embedding} x {self.hidden}, attention {self.attention}{also}"
        return f"{read}, {written}" if self.family == "hybrid" else written


@dataclass(frozen=True)
class TrainingOptions:
    """How the model is trained. The run ends at the first of steps, epochs and budget."""

    steps: Count = 0
    """Largest number of optimizer steps; 0: no limit."""
    epochs: Count = 0
    """Largest number of passes over the data; 0: no limit."""
    budget: str = "none"
    """Longest wall-clock time, such as 90s, 20m or 1h30m. A resumed run
    counts its earlier time."""
    batching: Literal["tokens", "sentences", "buckets"] = "tokens"
    """How a batch is filled: tokens up to batch_tokens target tokens;
    sentences with batch_sentences pairs; buckets with batch_sentences
    pairs of one length bucket, where every bucket is equally likely."""
    batch_tokens: Annotated[int | Auto, Range(1)] = "auto"
    """Target tokens of a batch, padding included (auto: 1/200 of those of the
    training pairs, from 64 to 1,000). dragoman bench measures which size is
    fastest; a larger batch may learn less in the same time."""
    batch_sentences: PositiveCount = 64
    """Pairs of a batch, for batching sentences and buckets."""
    buckets: tuple[tuple[int, int], ...] = ((5, 10), (7, 12), (11, 17), (50, 60))
    """Largest number of source and target tokens of each bucket. Longer
    pairs are not used."""
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop", "adagrad"] = "adam"
    """The optimizer."""
    momentum: Annotated[float, Range(0, below=1)] = 0.0
    """Momentum of SGD and RMSprop."""
    learning_rate: Annotated[float | Auto, Range(0)] = "auto"
    """The highest learning rate (auto: 0.002 for up to 512 hidden units,
    0.001 above)."""
    weight_decay: Amount = 0.0
    """Weight decay: decoupled in AdamW, added to the gradient in the other
    optimizers. Biases and the gains of LayerNorm do not decay."""
    decoder_rate: Amount = 1.0
    """The learning rate of everything but the encoder, as a multiple of the
    encoder's."""
    schedule: Schedule = "auto"
    """How the learning rate falls. plateau: halved when validation stops
    improving. auto: cosine if steps, epochs or budget end the run, else
    plateau."""
    warmup: Annotated[int | Auto, Range(0)] = "auto"
    """Number of steps over which the learning rate rises from zero (auto:
    100; 400 for transformer and hybrid)."""
    decay: Amount = 0.99
    """Schedule step: the factor of each cut of the learning rate."""
    decay_every: PositiveCount = 100
    """Schedule step: the number of steps between two cuts."""
    clip: Amount = 1.0
    """Largest norm of the gradient of all weights; 0: no clipping."""
    clip_parts: bool = False
    """Clip the gradients of the encoder and of the rest separately."""
    objective: Literal["full", "sampled"] = "full"
    """The softmax of the loss: over the full vocabulary, or over sampled
    words."""
    samples: PositiveCount = 512
    """Objective sampled: number of words sampled for a batch."""
    scheduled_sampling: Literal["none", "sequence", "token"] = "none"
    """Feed the decoder its own predictions in training: for whole sentences
    (sequence) or for single tokens (token)."""
    sampling_share: Share = 0.5
    """Scheduled sampling: the largest share of such sentences or tokens (0
    to 1)."""
    sampling_schedule: Literal["constant", "linear", "inverse_sigmoid"] = "constant"
    """Scheduled sampling: how that share grows over the run."""
    label_smoothing: Annotated[float, Range(0, below=1)] = 0.1
    """Share of the target probability that is spread over the whole
    vocabulary (0 to 1)."""
    refit: bool | Auto = "auto"
    """Train once more at the end, from the beginning and on the held-out
    pairs too, for as long as was best; the scores stay those of the first
    training, which has half of a budget (auto: for up to 3,000 pairs of
    words, unless steps, epochs, start_from or validation_pairs are given)."""
    validate_every: Annotated[int | Literal["auto", "epoch"], Range(1)] = "auto"
    """Number of steps between validations, or epoch (auto: half an epoch,
    but 100 to 1,000)."""
    validation_sample: Count = 500
    """Number of held-out pairs translated and scored at each validation."""
    metric: Literal["auto", "chrf", "bleu", "exact", "loss"] = "auto"
    """The score on held-out pairs by which the best weights are chosen; exact
    falls back on chrf between equals (auto: exact where both sides are
    spelt words, loss where nothing is translated, else chrf)."""
    patience: Annotated[int | Auto, Range(0)] = "auto"
    """Number of validations without improvement after which training stops;
    0: it never does (auto: 10, and 0 with steps, epochs or a budget)."""
    save_every: Annotated[int | Literal["auto", "epoch"], Range(1)] = "auto"
    """Number of steps between checkpoints, or epoch (auto: at each
    validation)."""
    keep: PositiveCount = 2
    """Number of latest checkpoints that are kept."""
    report_every: PositiveCount = 50
    """Number of steps between two lines of progress and two rows of
    metrics.jsonl."""
    start_from: str = ""
    """A model folder whose parts and tokenizers this model starts with."""
    parts: tuple[Literal["encoder", "decoder"], ...] = ("encoder", "decoder")
    """The parts taken from start_from. Bridge and output layer belong to the
    decoder."""
    freeze: bool = False
    """Do not train the parts taken from start_from."""
    watch: tuple[str, ...] = ()
    """Sentences that each validation translates and shows."""
    show_every: Count = 0
    """Number of steps after which the first two training pairs are shown on
    their way through the model, with every tensor's shape; 0: never."""
    track: tuple[Literal["tensorboard", "wandb", "mlflow"], ...] = ()
    """Experiment trackers that receive options and curves. TensorBoard's
    files go into the model folder; the others use their own settings."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Number format of matrix products (auto: bf16 where the processor has
    it)."""
    threads: Annotated[int | Auto, Range(1, below=1025)] = "auto"
    """Number of processor threads (auto: one a core). A resumed run keeps
    its number."""
    deterministic: bool = False
    """GPU: use only operations that add in a fixed order, so that the same
    run gives the same numbers again; this is slower. A processor always
    does so, for the same number of threads."""
    seed: Seed = 1
    """Seed of weights, dropout and order: the same seed gives the same run."""


@dataclass(frozen=True)
class SearchOptions:
    """How an output is searched for."""

    beam: Annotated[int, Range(1, below=1025)] = 5
    """Size of the beam; 1: greedy search."""
    n_best: Annotated[int, Range(1, below=1025)] = 1
    """Number of outputs for each line, at most the beam; shown by --json."""
    length_penalty: Annotated[float, Range(0, below=10)] = 1.0
    """A hypothesis' score is its log-probability divided by its length to
    this power; 0: not divided."""
    normalization: Literal["average", "wu"] = "average"
    """The length in that division: average is the number of tokens, wu is (5
    + tokens) / 6 (Wu 2016)."""
    coverage_penalty: Amount = 0.0
    """Weight of the penalty for source tokens that attention left out (Wu
    2016)."""
    diversity: Amount = 0.0
    """Penalty of a hypothesis for each better one with the same parent;
    makes the n-best outputs differ (Li 2016)."""
    no_repeat: Count = 0
    """Size of n-grams that an output holds at most once; 0: any may repeat."""
    min_ratio: Annotated[float, Range(0, below=1000)] = 0.0
    """Shortest output, as a multiple of the source's tokens."""
    max_ratio: Annotated[float, Range(0, below=1000)] = 2.0
    """Longest output, as a multiple of the source's tokens; max_added tokens
    are added to it."""
    max_added: Annotated[int | Auto, Range(0, below=10**6)] = "auto"
    """Tokens by which an output may be longer than that (auto: 20, or as many
    as the longest target of the training pairs needs)."""
    temperature: Annotated[float, Range(0, below=1e6)] = 0.0
    """Draw each token at random at this temperature; 0: search instead."""
    top_k: Count = 0
    """Temperature: draw from this many most probable tokens; 0: from all."""
    top_p: Annotated[float, Range(1e-9, at_most=1)] = 1.0
    """Temperature: draw from the fewest tokens whose probabilities add up to
    this."""
    sampling_seed: Annotated[int, Range(0, below=2**32)] = 1
    """Temperature: seed of the draws. A line's output depends on no other
    line."""
    unknown: Literal["copy", "drop", "keep"] = "copy"
    """What an unknown word becomes: copy takes the source word that
    attention looked at (without attention, it is dropped); drop excludes
    it from search; keep writes <unk>."""
    long: Literal["split", "truncate"] = "split"
    """A line longer than source.max_tokens: split it at sentence ends and
    join the outputs, or translate its beginning only."""
    batch_size: Annotated[int | Auto, Range(1)] = "auto"
    """Number of lines searched at the same time (auto: 1,024 hypotheses). It
    changes the speed, not the output."""
    int8: bool = False
    """Multiply 8-bit numbers, on the processor: about twice as fast.
    About one output in fifteen changes, on average for no worse
    (docs/log.md). A bundle in 8 bits always does."""
    shortlist: bool = True
    """In a bundle that has a shortlist: score only the likely target words of
    a line's words, those that it can copy, and those that its constraints
    name."""

    @property
    def hypotheses(self) -> int:
        """Most hypotheses of one line that are open at the same time."""
        return self.n_best if self.temperature > 0 else self.beam


@dataclass(frozen=True)
class ServingOptions:
    """API keys, other origins, the log, and the limits of requests."""

    api_keys: Path | None = None
    """A file with one API key a line. Requests must then give one, as
    api_key or as a bearer token."""
    cors: tuple[str, ...] = ()
    """Origins (such as https://example.org) whose pages may read answers; *
    is any."""
    log_text: bool = False
    """Write what is translated into the log."""
    max_body: Annotated[int, Range(1)] = 1_000_000
    """Largest size of a request's body, in bytes."""
    max_characters: Annotated[int, Range(1)] = 50_000
    """Largest number of characters in one request."""
    max_lines: Annotated[int, Range(1)] = 1_000
    """Largest number of lines in one request."""
    max_seconds: Annotated[float, Range(0.1)] = 30.0
    """Longest time that a client may take to send a request, and longest
    time that it waits for the answer."""
    max_waiting: Annotated[int, Range(1)] = 256
    """Number of lines waiting for a model from which on requests are
    refused, with status 429; requests for alternatives are counted apart."""
    max_requests: Annotated[int, Range(1)] = 1_000
    """Largest number of requests that a process reads or answers at the
    same time; further ones are refused, with status 503. Four times as
    many connections may be open."""


@dataclass(frozen=True)
class Config:
    """Every option of a run."""

    data: DataOptions = field(default_factory=DataOptions)
    source: SideOptions = field(default_factory=SideOptions)
    target: SideOptions = field(default_factory=SideOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    search: SearchOptions = field(default_factory=SearchOptions)
