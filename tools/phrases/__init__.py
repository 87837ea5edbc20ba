"""The grammar that the pairs of the ``phrases`` sample were drawn from."""
