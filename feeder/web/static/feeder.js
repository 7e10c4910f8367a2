// What the pages gain by a script; each works without it.
