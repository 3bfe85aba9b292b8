"""Message heads: parsed strictly, written anew (RFC 9112).

What another parser could read differently is refused: bare LF and CR, folded lines, control bytes, lengths that are repeated or malformed,
a doubled space, several Hosts.

Written for speed: lines go on as they are. What a head means depends on the names of its fields nearly alone, and these come in few
different sequences, so that what a sequence means (its layout) is found out once. A client repeats nearly all of its head from request to
request of one connection (HPACK rests on the same fact), and some upstreams theirs: the same bytes again cost one comparison.
"""
