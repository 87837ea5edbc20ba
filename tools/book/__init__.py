"""Builds the documentation: runs the pages of ``docs/``, and writes what is made from the code.

python -m tools.book run [PAGE ...]      run pages, keep outputs and pictures in build/book
python -m tools.book notebooks FOLDER    the chapters of Learn as Jupyter notebooks
python -m tools.book man FILE            the man page
python -m tools.book completion bash     completion for bash, zsh or fish, on standard output
mkdocs build --strict                    the site (mkdocs.yml names hooks.py)
"""
