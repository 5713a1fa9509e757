"""The table: every row, what it must reach and what it should. `--only` takes the names of groups."""

from measure import AT_LEAST, AT_MOST, Target

# Group → its rows, in the order in which they are printed.
GROUPS = {
    "get-cost": [Target("get-cost", "best peer's processor time ÷ that of GetLogin", "×", AT_LEAST, 1.15, 1.4)],
    "get-rate": [Target("get-rate", "GetLogin ÷ best peer, 64 clients", "×", AT_LEAST, 1.15, 1.3)],
    "get-hit": [Target("get-hit", "constant answer's processor time ÷ that of GetLogin", "×", AT_LEAST, 0.65, 0.75)],
    "get-miss": [Target("get-miss", "the same, every token new (RS256)", "×", AT_LEAST, 0.14, 0.17)],
    "not-modified": [Target("not-modified", "the same, 304 for an unchanged list", "×", AT_LEAST, 0.65, 0.75)],
    "get-nginx": [
        Target("get-nginx", "GetLogin ÷ best peer, both behind nginx", "×", AT_LEAST),
        Target("get-nginx-cost", "best peer's processor time ÷ that of GetLogin, both behind nginx", "×", AT_LEAST),
    ],
    "set-cost": [Target("set-cost", "best peer's processor time ÷ that of SetLogin, 64 clients", "×", AT_LEAST, 1.15, 1.4)],
    "set-rate": [Target("set-rate", "SetLogin ÷ best peer, 64 clients", "×", AT_LEAST, 1.2, 1.5)],
    "set-redis": [Target("set-redis", "SetLogin ÷ redis SET, both on disk, 64 clients", "×", AT_LEAST, 0.70, 0.90)],
    "set-one": [Target("set-one", "SetLogin, one client ÷ bare append and fdatasync", "×", AT_LEAST, 0.6, 0.8)],
    "set-clients": [
        Target("set-clients-rise", "SetLogin, 64 clients ÷ the best of 1 and 8", "×", AT_LEAST, 1.0),
        Target("set-clients-hold", "SetLogin, 256 clients ÷ 64 clients", "×", AT_LEAST, 0.95),
    ],
    "list-peer": [
        Target("list-peer", "best peer's time for the list ÷ time of the list", "×", AT_LEAST, 1.6, 2),
        Target("list-peer-gzip", "the same, compressed", "×", AT_LEAST, 20, 30),
    ],
    "list-plain": [Target("list-plain", "nginx's time for the same file ÷ time of the list", "×", AT_LEAST, 1.0, 1.4)],
    "list-gzip": [Target("list-gzip", "nginx's time for the same .gz ÷ time of the gzip list", "×", AT_LEAST, 0.7, 1.0)],
    "list-zstd": [Target("list-zstd", "nginx's time for the same .gz ÷ time of the zstd list", "×", AT_LEAST)],
    "list-changed": [Target("list-changed", "compressing again ÷ time of the gzip list after 1,000 logins", "×",
                            AT_LEAST, 4, 10)],
    "list-size": [Target("list-size", "gzip list ÷ gzip -6 of the same text", "×", AT_MOST, 1.3)],
    "first-byte": [
        Target("first-byte", "first byte of a list, the slowest", "ms", AT_MOST, 10),
        Target("first-byte-memory", "memory that a list adds while it is sent", "MiB", AT_MOST, 8),
        Target("first-byte-slow", "memory that 100 slow readers add in all", "MiB", AT_MOST, 200),
    ],
    "changes": [
        Target("changes-part", "changes after 1,000 logins, gzip ÷ gzip list, by bytes", "×", AT_MOST, 0.01),
        Target("changes-first-byte", "first byte of these changes, the slowest", "ms", AT_MOST, 10),
        Target("changes-time", "time of these changes, plain", "ms", AT_MOST),
    ],
    "tail": [Target("tail", "slowest 1 % of GetLogin beside 4 lists ÷ alone", "×", AT_MOST, 2, 1.5)],
    "start": [Target("start", "from exec to ready", "s", AT_MOST, 1, 0.7)],
    "memory": [
        Target("memory-ready", "memory when ready", "MB", AT_MOST, 180, 150),
        Target("memory-lists", "memory after plain, gzip and zstd lists", "MB", AT_MOST, 420, 300),
    ],
    "scale": [
        Target("scale-list", "a record's cost in a list, largest register ÷ smaller", "×", AT_MOST, 1.5),
        Target("scale-start", "a record's cost at start, largest register ÷ smaller", "×", AT_MOST, 1.5),
        Target("scale-write", "a write's cost, largest register ÷ smaller", "×", AT_MOST, 1.5),
    ],
    "pg-set": [
        Target("pg-set", "SetLogin ÷ pgbench's upsert, 8 clients, named statements", "×", AT_LEAST, 0.70),
        Target("pg-set-unnamed", "the same without names", "×", AT_LEAST),
    ],
    "pg-set-clients": [
        Target("pg-set-clients", "SetLogin, 64 clients ÷ pgbench's upsert, 10 connections", "×", AT_LEAST, 1.5),
        Target("pg-set-clients-64", "SetLogin, 64 clients ÷ pgbench's upsert, 64 connections", "×", AT_LEAST),
        Target("pg-set-clients-unnamed", "the first of these without names", "×", AT_LEAST),
    ],
    "pg-get": [
        Target("pg-get", "GetLogin ÷ pgbench's select by key, 64 clients", "×", AT_LEAST, 0.60),
        Target("pg-get-8", "the same, 8 clients", "×", AT_LEAST),
    ],
    "pg-list": [
        Target("pg-list", "time of the list ÷ time of COPY TO STDOUT", "×", AT_MOST, 1.5),
        Target("pg-list-gzip", "time of the gzip list ÷ time of COPY TO STDOUT", "×", AT_MOST),
        Target("pg-list-first-byte", "first byte of a list, plain or gzip, the slowest", "ms", AT_MOST),
        Target("pg-list-memory", "peak memory of the process while ten lists are read at once", "MB", AT_MOST),
    ],
    "pg-changes": [
        Target("pg-changes-part", "changes after 1,000 logins, gzip ÷ gzip list, by bytes", "×", AT_MOST, 0.01),
        Target("pg-changes-first-byte", "first byte of these changes, the slowest", "ms", AT_MOST, 150),
        Target("pg-changes-time", "time of these changes, plain", "ms", AT_MOST),
    ],
}

TARGETS = {target.name: target for rows in GROUPS.values() for target in rows}
