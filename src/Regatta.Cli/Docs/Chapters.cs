namespace Regatta.Cli;

/// <summary>What docs/cli.md says besides the commands.</summary>
internal static class Chapters
{
    public static string Before { get; } = $"""

        Results go to standard output; errors, questions and progress to standard error. There are no colours or escape codes, except in the
        progress bar, which only a terminal sees. An error is one sentence that says what is wrong, and a second line that says what to do.

        ## Exit codes

        | Code | |
        |---|---|
        {string.Join('\n', ExitCode.Meanings.Select(row => $"| {row.Code} | {row.Meaning} |"))}

        ## Environment

        | Variable | |
        |---|---|
        {string.Join('\n', CommonOptions.Variables.Select(row => $"| `{row.Variable}` | {row.Meaning} |"))}

        A flag goes before its variable. `regatta leader` and `regatta follower` take every option of the node from the environment as well, see there.

        ## Output formats

        `-o` chooses; without it the `kv` commands print `simple`, `table list`, `cluster members` and `cluster status` print `table`.

        | Format | |
        |---|---|
        | `table` | columns with headings, for eyes: values are shortened to 60 characters |
        | `json` | one JSON document |
        | `jsonl` | one JSON object per line; `kv load` reads what `kv range -o jsonl` prints |
        | `simple` | lines with tabs between the fields; `kv get KEY` prints the value alone, its exact bytes and a line feed |

        Keys and values are bytes. In `table` and `simple`, what is not printable UTF-8 is escaped: `\n`, `\t`, `\r`, `\\` and `\xNN`; `--escaped`
        reads arguments that are written so. In JSON, UTF-8 is a string (`key`, `value`) and anything else base64 (`key_b64`, `value_b64`): the
        field's name says which.

        """;

    public static string After { get; } = $"""

        ## The configuration of a node

        Each option of `regatta leader` and `regatta follower` can be given in four places. The first one that has it wins, option by option:

        1. the flag: `--api.address http://127.0.0.1:8443`
        2. the environment: `REGATTA_API_ADDRESS=...`, the name in upper case with `_` for dots and dashes (or the Go project's name, `API.ADDRESS`)
        3. the file given with `--config` (or `REGATTA_CONFIG`)
        4. the default

        Every value is checked wherever it stands, used or not. A key in the file that is no option is an error that names the nearest one, and so
        is a variable that begins with `REGATTA_` (those that Kubernetes sets for services, `REGATTA_SERVICE_HOST` and the like, are left alone).
        `--print-config` shows what is in effect and why. The file is YAML or JSON. Options stand under their full names or nested, whichever
        reads better:

        ```yaml
        data-dir: /var/lib/regatta
        api:
          address: http://127.0.0.1:8443
        tables.names: [policies, flags]
        limits.max-value-bytes: 1MiB
        ```

        Both SIGTERM and Ctrl-C stop a node cleanly: running requests are finished, files are closed, the exit code is 0, within 10 seconds. A
        second Ctrl-C ends it at once; what was acknowledged is on disk all the same. A node that may not go on (a failed disk) stops by itself,
        says why, and its exit code is 1.

        ## Files of `kv load` and `kv dump`

        JSON lines: one object per line with `key` or `key_b64`, and `value` or `value_b64`. The revisions that `kv range -o jsonl` prints are
        ignored; other fields are refused. `kv dump` writes the keys in order, with only the escapes that JSON demands (plus DEL and U+0080 to
        U+009F), so the same state gives the same bytes, and a dump that is loaded and dumped again is identical.

        ## Transactions as text

        `kv txn` reads lines. A line `compares:`, `success:` or `failure:` begins a section, in any order; without such lines the three sections
        follow one another with one empty line between them, as in etcdctl. A line that begins with `#` is a comment.

        ```
        {KvTxnCommand.Example}
        ```

        | Line | |
        |---|---|
        | `value(KEY) = VALUE` | the value, bytewise; also `!=`, `<` and `>`. False if the key does not exist, whatever the sign |
        | `version(KEY) = N`, `create(KEY) = N`, `mod(KEY) = N` | how often the key was written, when it was created, when it was last written; 0 if it does not exist |
        | `exists(KEY)`, `missing(KEY)` | whether there is such a key |
        | `put KEY VALUE [--prev-kv]` | |
        | `get KEY [RANGE_END] [--prefix] [--limit N] [--keys-only] [--count-only]` | |
        | `del KEY [RANGE_END] [--prefix] [--prev-kv] [--count]` | |

        A compare of `(KEY, RANGE_END)` must hold for every key of the range, and the range must not be empty. Words with blanks or signs are
        quoted: `'...'` as it is, `"..."` with the escapes `\n`, `\t`, `\r`, `\\`, `\"` and `\xNN`. The first line of the answer is `SUCCESS` or
        `FAILURE`, the section that ran; either is exit code 0.

        ## Ports of `regatta dev`

        With base port P (8443 unless given): clients P, replication P+1, peers P+2, REST (`/healthz`, `/readyz`, `/metrics`) P+3. The second node
        of the leader site begins at P+10, the third at P+20; follower sites begin at P+100, P+200. With `--base-port 0` the system chooses, except for the
        ports that others must know beforehand, those of the peers and, with follower sites, of replication: they are looked for between 21000 and 32000 and may, rarely, be
        gone when the node wants them; it says so then.

        ## Completion

            source <(regatta completion bash)
            source <(regatta completion zsh)
            regatta completion fish | source
        """;
}
