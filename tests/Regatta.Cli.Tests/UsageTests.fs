module UsageTests

open System
open System.IO
open Expecto
open Regatta.Cli

let rec private repository (directory: DirectoryInfo) =
    if File.Exists(Path.Combine(directory.FullName, "Regatta.sln")) then
        directory.FullName
    else
        repository (nonNull directory.Parent)

let private docs = Path.Combine(repository (DirectoryInfo AppContext.BaseDirectory), "docs", "cli.md")

let private expectUsage (site: FakeSite.Site) (part: string) (arguments: string list) =
    task {
        let! result = Run.at site arguments
        Expect.equal result.Code ExitCode.Usage $"%A{arguments}: %s{result.Errors}"
        Expect.stringContains result.Errors part $"%A{arguments}"
        Expect.stringStarts result.Errors "regatta: " $"%A{arguments}"
        Expect.equal result.Output "" "nothing on standard output"
        Expect.isEmpty site.State.Calls "nothing is sent"
    }

let private wrong =
    testCaseTask "A wrong command line is refused with exit code 2, says what is wrong, and sends nothing" (fun () ->
        task {
            use! site = FakeSite.start ()
            do! expectUsage site "`regatta kv` does not know gte; did you mean get?" [ "kv"; "gte"; "a" ]
            do! expectUsage site "`regatta` does not know kw; did you mean kv?" [ "kw" ]
            do! expectUsage site "see `regatta kv get --help`" [ "kv"; "get" ]
            do! expectUsage site "does not know c" [ "kv"; "get"; "a"; "b"; "c" ]
            do! expectUsage site "has no option --lineariseable; did you mean --linearizable?" [ "kv"; "get"; "a"; "--lineariseable" ]
            do! expectUsage site "has no option --prefx; did you mean --prefix?" [ "kv"; "del"; "a"; "--prefx" ]
            do! expectUsage site "has no option -x" [ "kv"; "put"; "a"; "-x" ]
            do! expectUsage site "exclude each other" [ "kv"; "get"; "a"; "b"; "--prefix" ]
            do! expectUsage site "exclude each other" [ "kv"; "range"; "--all"; "--keys-only"; "--count-only" ]
            do! expectUsage site "KEY is empty" [ "kv"; "get"; "" ]
            do! expectUsage site "RANGE_END is empty" [ "kv"; "del"; "a"; "" ]
            do! expectUsage site "say which keys" [ "kv"; "range" ]
            do! expectUsage site "say which keys" [ "kv"; "range"; "a" ]
            do! expectUsage site "say which keys" [ "kv"; "range"; "--all"; "--prefix"; "a" ]
            do! expectUsage site "START is empty" [ "kv"; "range"; ""; "b" ]
            do! expectUsage site "not UTF-8" [ "kv"; "put"; "a\uFFFD"; "b" ]
            do! expectUsage site "is not an escape" [ "kv"; "put"; "a\\q"; "b"; "--escaped" ]
            do! expectUsage site "--output must be table, json, jsonl or simple, not xml" [ "kv"; "get"; "a"; "-o"; "xml" ]
            do! expectUsage site "--timeout: \"5\" is not a duration" [ "kv"; "get"; "a"; "--timeout"; "5" ]
            do! expectUsage site "--endpoints: \"nowhere\" is not an endpoint" [ "kv"; "get"; "a"; "--endpoints"; "nowhere" ]
            do! expectUsage site "--endpoints names no endpoint" [ "kv"; "get"; "a"; "--endpoints"; "," ]
            do! expectUsage site "--concurrency must be from 1 to 1000" [ "kv"; "load"; "-"; "--concurrency"; "0" ]
            do! expectUsage site "Option '--to' is required" [ "cluster"; "move-leader" ]
            do! expectUsage site "Cannot parse argument 'two'" [ "cluster"; "move-leader"; "--to"; "two" ]
            do! expectUsage site "--nodes must be 1, 3 or 5, not 2" [ "dev"; "--nodes"; "2" ]
            do! expectUsage site "--nodes must be 1, 3 or 5, not 0" [ "dev"; "--nodes"; "0" ]
            do! expectUsage site "--sites must be from 1 to 10, not 0" [ "dev"; "--sites"; "0" ]
            do! expectUsage site "--sites must be from 1 to 10, not 11" [ "dev"; "--sites"; "11" ]
            do! expectUsage site "--base-port must be from 0 to 65532, not 65533" [ "dev"; "--nodes"; "1"; "--base-port"; "65533" ]
            do! expectUsage site "--base-port must be from 0 to 65512, not 65513" [ "dev"; "--nodes"; "3"; "--base-port"; "65513" ]
            do! expectUsage site "--base-port must be from 0 to 65492, not -1" [ "dev"; "--nodes"; "5"; "--base-port"; "-1" ]
            do! expectUsage site "log-level must be DEBUG, INFO, WARN or ERROR" [ "dev"; "--log-level"; "LOUD" ]

            do!
                expectUsage
                    site
                    "`regatta leader` does not know --api.adress; did you mean --api.address?"
                    [ "leader"; "--api.adress"; "x" ]

            do! expectUsage site "data-dir must be set" [ "leader" ]
            do! expectUsage site "transaction, line 1" [ "kv"; "txn"; Path.Combine(AppContext.BaseDirectory, "regatta.deps.json") ]
        })

let private dashes =
    testCaseTask "What begins with a dash is a key or a value behind --, and numbers are so anywhere" (fun () ->
        task {
            use! site = FakeSite.start ()

            for arguments in [ [ "kv"; "put"; "a"; "-5" ]; [ "kv"; "put"; "--"; "--b"; "-x" ] ] do
                let! result = Run.at site arguments
                Expect.equal result.Code ExitCode.Ok $"%A{arguments}: %s{result.Errors}"

            Expect.equal (site.State.Keys[Bytes.ofText "a"].Value.ToStringUtf8()) "-5" "a number"
            Expect.equal (site.State.Keys[Bytes.ofText "--b"].Value.ToStringUtf8()) "-x" "behind --"
        })

let rec private commands (path: string list) (command: System.CommandLine.Command) =
    [ yield path
      for sub in command.Subcommands do
          if not sub.Hidden then yield! commands (path @ [ sub.Name ]) sub ]

let private help =
    testCaseTask "Every command has help, on standard output, with exit code 0" (fun () ->
        task {
            use output = new MemoryStream()
            use errors = new StringWriter()
            let tree = CommandLine.Tree(Run.surroundings Run.plain output errors, true)
            let paths = commands [] tree
            Expect.isGreaterThan paths.Length 20 "commands"

            for path in paths do
                let! result = Run.regatta (path @ [ "--help" ])
                Expect.equal (result.Code, result.Errors) (ExitCode.Ok, "") $"%A{path}"
                Expect.stringContains result.Output "Description:" $"%A{path}"
        })

let private reference =
    testCaseTask "docs/cli.md is what `regatta docs` prints" (fun () ->
        task {
            let! result = Run.withSetup { Run.plain with Environment = [ "REGATTA_TABLE", "other" ] } [ "docs" ]
            Expect.equal result.Code ExitCode.Ok result.Errors
            Expect.equal (File.ReadAllText docs) result.Output "run: dotnet run --project src/Regatta.Cli -- docs > docs/cli.md"
        })

let private version =
    testCaseTask "version prints the name and the version, on one line" (fun () ->
        task {
            let! result = Run.regatta [ "version" ]
            Expect.equal result.Code ExitCode.Ok result.Errors
            Expect.isTrue (Text.RegularExpressions.Regex.IsMatch(result.Output, @"^regatta \d+\.\d+\.\d+\S*\n$")) result.Output
        })

let private completion =
    testCaseTask "Shells are told what can come next" (fun () ->
        task {
            let suggest (line: string) =
                task {
                    // The name of this very program is what the parser drops from the line.
                    let name = System.CommandLine.RootCommand.ExecutableName
                    let text = $"{name} {line}"
                    let! result = Run.regatta [ $"[suggest:{text.Length}]"; text ]
                    return result.Output.Split([| '\n'; '\r' |], StringSplitOptions.RemoveEmptyEntries) |> List.ofArray
                }

            let! commands = suggest ""
            Expect.containsAll commands [ "kv"; "table"; "leader"; "dev" ] "commands"
            Expect.isFalse (List.contains "docs" commands) "the hidden one"
            let! verbs = suggest "kv d"
            Expect.containsAll verbs [ "del"; "dump" ] "verbs"
            Expect.isFalse (List.contains "get" verbs) "those that do not fit"
            let! formats = suggest "kv get a -o "
            Expect.containsAll formats [ "table"; "json"; "jsonl"; "simple" ] "values of an option"
            let! options = suggest "leader --raft.n"
            Expect.equal options [ "--raft.node-id" ] "the node's options"

            for shell in [ "bash"; "zsh"; "fish" ] do
                let! script = Run.regatta [ "completion"; shell ]
                Expect.equal script.Code ExitCode.Ok shell
                Expect.stringContains script.Output "[suggest:" shell
        })

let all = testList "usage" [ wrong; dashes; help; reference; version; completion ]
