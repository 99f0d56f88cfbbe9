namespace Regatta.Node.Tests

open System
open System.IO
open System.Text
open Grpc.Core
open Regatta.Node

/// The reference documents that are made from data, so that they say what the code does. REGATTA_WRITE_DOCS=1 rewrites them.
module ReferenceDocs =
    /// What the Go project does otherwise than one would expect, and what is done here.
    let private quirks =
        [ "`ResponseHeader.revision` of a read is 0", "every reply carries the revision of the state that it shows"
          "`create_revision` and `mod_revision` of a pair are always 0", "both are kept, and `version` (field 100) with them"
          "the revision filters of RangeRequest end with UNIMPLEMENTED", "they work, before `limit`"
          "with `limit`, `more` means that at least two further keys exist", "it means at least one"
          "DeleteRange of a range with `prev_kv` returns the first page only, and counts only that; everything is deleted",
          "the answer is complete; if it would not fit into a reply, the call is refused before anything is deleted"
          "a transaction whose taken branch is empty returns revision 0", "it returns the revision that it took"
          "IterateRange does not check the lengths of keys", "it does, as Range"
          "DeleteRange does not check the length of `range_end`", "it does"
          "keys and values inside of transactions are not checked, empty keys included", "they are, `range_end` and compares too"
          "Compare knows VALUE only; a target that is not known counts as true",
          "VERSION, CREATE and MOD are known; on a missing key they are 0, so that \"create if absent\" is a compare. Others are refused"
          "a table may have any name; one with `/` is stored, and never listed", "names follow a rule, which is checked"
          "`logSize`, `dbSize` and `info` of Status are never filled", "they are"
          "there is no grpc.health.v1", "there is, for the node and for each table by its name"
          "a revision of 0, or one that is never signalled, lets a call hang for ever", "every wait ends with the call's deadline"
          "the range operations of a transaction have a page each, so its reply may be too large to be received",
          "they share one page; `more` says which of them was cut" ]

    let private kept =
        [ "`deleted` is 0 unless `count` or `prev_kv` is asked for"
          "NOT_EQUAL on the value of a missing key is false"
          "a missing single key is an empty answer, not NOT_FOUND"
          "over-long keys and values are FAILED_PRECONDITION, not INVALID_ARGUMENT"
          "an unknown table is NOT_FOUND for KV calls and INVALID_ARGUMENT for Tables.Delete" ]

    let private constant (code: StatusCode) =
        let name = StringBuilder()

        for letter in code.ToString() do
            if Char.IsUpper letter && name.Length > 0 && code <> StatusCode.OK then name.Append '_' |> ignore

            name.Append(Char.ToUpperInvariant letter) |> ignore

        name.ToString()

    let private cell (text: string) = text.Replace("|", "\\|")

    let private note =
        "<!-- Made by tests/Regatta.Node.Tests (REGATTA_WRITE_DOCS=1 dotnet run --project tests/Regatta.Node.Tests): do not edit. -->"

    let private section (lines: StringBuilder) (rows: Row list) (call: string) =
        lines.Append($"\n## {call}\n\n| when | status | message |\n|---|---|---|\n") |> ignore

        for row in rows |> List.filter (fun row -> row.Call = call) do
            let message = if row.Message = "" then "" else $"`{cell row.Message}`"
            lines.Append($"| {cell row.When} | {constant row.Code} | {message} |\n") |> ignore

    let apiErrors () =
        let lines = StringBuilder()
        let add (text: string) = lines.Append(text).Append('\n') |> ignore
        add note
        add ""
        add "# Calls, status codes and limits"
        add ""

        add
            "Every row is a test (`tests/Regatta.Node.Tests/CallCatalogue.fs`). `...` in a message stands for something that varies. A call is checked in the"

        add
            "order of its rows, so the first thing that is wrong decides. UNKNOWN and DEADLINE_EXCEEDED on a write mean what their messages say: read before"

        add "you repeat it. UNAVAILABLE and RESOURCE_EXHAUSTED mean that nothing was written."
        add ""

        add
            "A write whose fate is unknown is UNKNOWN and never UNAVAILABLE, because libraries repeat calls on UNAVAILABLE by themselves. A call that comes"

        add
            "without a deadline gets `api.default-deadline`. A node gives up a little before the deadline (a tenth of what is left, 20 ms at most), so that the"

        add "client still gets the sentence that says what became of its request."

        for call in CallCatalogue.rows |> List.map _.Call |> List.distinct do
            section lines CallCatalogue.rows call

        add ""
        add "## Limits"
        add ""
        add "| option | default | what |"
        add "|---|---|---|"

        for option in OptionCatalog.All do
            if option.Name.StartsWith "limits." || option.Name.StartsWith "api.max" || option.Name = "api.default-deadline" then
                let unit = if option.Unit = "" then "" else " " + option.Unit
                add $"| `{option.Name}` | {option.Default}{unit} | {cell option.Sentence} |"

        add "| (fixed) | 1 to 128 characters | The name of a table: A-Z, a-z, 0-9, `.`, `_`, `-`, the first one a letter or a digit. |"
        add ""
        add "## Quirks of the Go project that are put right"
        add ""
        add "| there | here |"
        add "|---|---|"

        for there, here in quirks do
            add $"| {cell there} | {cell here} |"

        add ""
        add "Kept as they are, because clients see them: "
        add ""

        for habit in kept do
            add $"* {habit}"

        lines.ToString()

    let options () =
        let lines = StringBuilder()
        let add (text: string) = lines.Append(text).Append('\n') |> ignore
        add note
        add ""
        add "# Options of a node"
        add ""

        add
            "As a flag `--name value`, as a key in a configuration file, or in the environment under the name below (or the option's name in capitals, as"

        add "the Go project has it). Sizes may carry KiB, MiB, GiB; durations are written as `100ms`, `5s`, `1m30s`, `7d`."
        add ""
        add "| option | type | default | allowed | environment | what |"
        add "|---|---|---|---|---|---|"

        for option in OptionCatalog.All do
            let value = if option.Default = "" then "" else $"`{option.Default}`"
            let unit = if option.Unit = "" then "" else " " + option.Unit
            let secret = if option.IsSecret then " A secret: never shown." else ""

            let row =
                $"| `{option.Name}` | {option.Type} | {value} | {option.Range}{(if option.Range = String.Empty then String.Empty else unit)} | "

            add (row + $"`{option.EnvironmentNames[0]}` | {cell option.Sentence}{secret} |")

        lines.ToString()

    let documents = [ "api-errors.md", apiErrors; "options.md", options ]

    let directory = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", "..", "docs", "reference"))

    let path (name: string) = Path.Combine(directory, name)

    let isWriting = Environment.GetEnvironmentVariable "REGATTA_WRITE_DOCS" = "1"
