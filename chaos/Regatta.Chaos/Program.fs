module Regatta.Chaos.Program

open System
open System.CommandLine
open System.IO
open System.Runtime.InteropServices
open System.Threading
open Regatta.Chaos.Report

/// The command line that was given, with the seed that was drawn.
let private repeat (seed: int) =
    let given = List.ofArray (Environment.GetCommandLineArgs()[1..])

    let rec without (words: string list) =
        match words with
        | "--seed" :: _ :: rest -> without rest
        | word :: rest when word.StartsWith("--seed=", StringComparison.Ordinal) -> without rest
        | word :: rest -> (if word.Contains '*' then $"\"{word}\"" else word) :: without rest
        | [] -> []

    let server =
        match Environment.GetEnvironmentVariable "TOXIPROXY_URL" with
        | null -> ""
        | url -> $"TOXIPROXY_URL={url} "

    let configuration = if Planted.isPossible then "Debug" else "Release"
    let words = String.concat " " (without given)
    $"{server}dotnet run -c {configuration} --project chaos/Regatta.Chaos -- {words} --seed {seed}"

let private say (isQuiet: bool) (what: string) = if not isQuiet then Console.WriteLine what

/// Cancelled by the first Ctrl-C; the second one ends the process at once, and leaves nodes and mounts behind.
let private stopping = new CancellationTokenSource()

let private stopOnSignal (context: PosixSignalContext) =
    if not stopping.IsCancellationRequested then
        context.Cancel <- true
        stopping.Cancel()

let private verdictLine (record: RunRecord) (output: string) =
    let words =
        match record.Verdict with
        | Passed -> "PASSED"
        | Failed -> "FAILED"
        | Void -> "VOID"

    let page = Path.GetFullPath(Path.Combine(output, "report.html"))
    $"{words}: {record.Why}\nreport: {page}"

let private option<'a> (name: string) (what: string) (otherwise: 'a) =
    Option<'a>(name, Description = what, DefaultValueFactory = (fun _ -> otherwise))

let private split (text: string) = text.Split(',', StringSplitOptions.RemoveEmptyEntries ||| StringSplitOptions.TrimEntries) |> List.ofArray

let private runCommand () =
    let sites = option "--sites" "sites, the leader site included" 2
    let nodes = option "--nodes" "nodes of each site: 1, 3 or 5" 3
    let time = option "--time" "seconds of faults; starting, agreeing and checking come on top" 120
    let chapter = option "--chapter" "the longest time in seconds for which one table is written to, before it is checked" 60
    let nemeses = option "--nemesis" "faults by name, with commas between them; NAME* for all that begin so" "all"
    let workloads = option "--workload" "workloads by name, with commas between them" "all"
    let seed = option "--seed" "what is random follows from it; 0: a new one" 0
    let output = option "--output" "the directory for the report" "chaos-report"
    let planted = option "--planted" "a bug that the nodes shall have; debug builds only" ""
    let quiet = option "--quiet" "only the verdict" false
    let command = Command("run", "Runs nodes, clients and faults, checks all that was seen, and writes a report.")

    for each in [ sites :> Option; nodes; time; chapter; nemeses; workloads; seed; output; planted; quiet ] do
        command.Options.Add each

    command.SetAction(fun (arguments: ParseResult) ->
        let shape =
            { Sites = arguments.GetRequiredValue sites
              NodesPerSite = arguments.GetRequiredValue nodes }

        let chosen =
            match split (arguments.GetRequiredValue workloads) with
            | [ "all" ] -> Ok Workloads.all
            | names ->
                match names |> List.filter (fun name -> Workloads.all |> List.forall (fun workload -> workload.Name <> name)) with
                | [] -> Ok(Workloads.all |> List.filter (fun workload -> List.contains workload.Name names))
                | unknown -> Error $"there is no workload called {unknown.Head}; `list` shows them all"

        match Nemeses.select (split (arguments.GetRequiredValue nemeses)), chosen with
        | Error why, _
        | _, Error why ->
            Console.Error.WriteLine why
            2
        | Ok _, _ when shape.Sites < 1 || not (List.contains shape.NodesPerSite [ 1; 3; 5 ]) ->
            Console.Error.WriteLine "there is at least 1 site, and a site has 1, 3 or 5 nodes"
            2
        | Ok nemeses, Ok workloads ->
            let seed =
                match arguments.GetRequiredValue seed with
                | 0 -> Random.Shared.Next(1, Int32.MaxValue)
                | given -> given

            let output = arguments.GetRequiredValue output
            let planted = arguments.GetRequiredValue planted

            let options =
                { Shape = shape
                  Length = TimeSpan.FromSeconds(float (arguments.GetRequiredValue time))
                  Chapter = TimeSpan.FromSeconds(float (arguments.GetRequiredValue chapter))
                  Nemeses = nemeses
                  Workloads = workloads
                  Seed = seed
                  Planted = if planted = "" then None else Some planted
                  Output = output
                  Toxiproxy = Environment.GetEnvironmentVariable "TOXIPROXY_URL" |> Option.ofObj |> Option.map Uri
                  Command = repeat
                  Say = say (arguments.GetRequiredValue quiet)
                  Stop = stopping.Token }

            options.Say $"seed {seed}; Ctrl-C ends the faults, checks what was seen so far, and writes the report"
            let record = (Run.play options).GetAwaiter().GetResult()
            Console.WriteLine(verdictLine record output)

            match record.Verdict with
            | Passed -> 0
            | Failed -> 1
            | Void -> 3)

    command

let private plantedCommand () =
    let names = option "--bug" "bugs by name, with commas between them" "all"
    let time = option "--time" "the most seconds for each" 300
    let seed = option "--seed" "what is random follows from it" 1
    let output = option "--output" "the directory for the reports" "chaos-planted"
    let verbose = option "--verbose" "say what happens" false
    let command = Command("planted", "Sees whether bugs that were planted are found. Needs a debug build: dotnet run -c Debug.")

    for each in [ names :> Option; time; seed; output; verbose ] do
        command.Options.Add each

    command.SetAction(fun (arguments: ParseResult) ->
        let names = split (arguments.GetRequiredValue names)
        let isKnown name = Planted.all |> List.exists (fun (known, _) -> known = name)

        let wanted =
            if names = [ "all" ] then Planted.all else Planted.all |> List.filter (fun (name, _) -> List.contains name names)

        if not Planted.isPossible then
            Console.Error.WriteLine
                "nodes of a release build have no planted bugs: dotnet run -c Debug --project chaos/Regatta.Chaos -- planted"

            2
        elif wanted.IsEmpty || names <> [ "all" ] && not (List.forall isKnown names) then
            let unknown = names |> List.tryFind (isKnown >> not) |> Option.defaultValue ""
            Console.Error.WriteLine $"there is no bug called \"{unknown}\"; docs/planted-bugs.md has them all"
            2
        else
            let optionsOf (bug: string option) nemeses =
                let output = Path.Combine(arguments.GetRequiredValue output, defaultArg bug "none")

                Planted.options
                    bug
                    nemeses
                    (arguments.GetRequiredValue seed)
                    output
                    (say (not (arguments.GetRequiredValue verbose)))
                    stopping.Token

            let control () =
                let record = (Run.play (optionsOf None [ "all" ])).GetAwaiter().GetResult()
                let verdict = ((verdictLine record "").Split '\n')[0]
                printfn "%-28s %s" "(none)" verdict
                record.Verdict = Passed

            let find (name: string, nemeses: string) =
                let options = optionsOf (Some name) (split nemeses)

                let found = (Planted.find options (TimeSpan.FromSeconds(float (arguments.GetRequiredValue time)))).GetAwaiter().GetResult()

                match found with
                | Some(record, seconds) -> printfn $"%-28s{name} found after %3.0f{seconds} s: %s{(record.Why.Split '\n')[0]}"
                | None -> printfn $"%-28s{name} NOT FOUND"

                found.IsSome

            let isControlled = control ()
            let found = wanted |> List.map find |> List.filter id |> List.length
            let without = if isControlled then "passed" else "did NOT pass"
            printfn $"{found} of {wanted.Length} planted bugs were found; without any the same build {without}"
            if found = wanted.Length && isControlled then 0 else 1)

    command

let private listCommand () =
    let command = Command("list", "Shows all faults and workloads.")

    command.SetAction(fun (_: ParseResult) ->
        printfn $"{Nemeses.all.Length} faults:"

        for nemesis in Nemeses.all do
            printfn $"  %-24s{nemesis.Name} %s{nemesis.What}"

        printfn $"{Workloads.all.Length + 1} workloads:"

        for workload in Workloads.all do
            printfn $"  %-24s{workload.Name} %s{workload.What}"

        printfn "  %-24s %s" "watch" Workloads.watching
        0)

    command

let private reportCommand () =
    let directory =
        Argument<string>("directory", Description = "where run.json is", DefaultValueFactory = (fun _ -> "chaos-report"))

    let command = Command("report", "Makes the page of a run again from its run.json.")
    command.Arguments.Add directory

    command.SetAction(fun (arguments: ParseResult) ->
        let directory = arguments.GetRequiredValue directory
        let path = Path.Combine(directory, "run.json")

        if File.Exists path then
            let record = RunRecord.read path
            Page.write (Path.Combine(directory, "report.html")) record
            Console.WriteLine(verdictLine record directory)
            0
        else
            Console.Error.WriteLine $"there is no {path}; `run` writes one"
            2)

    command

[<EntryPoint>]
let main arguments =
    use _ = PosixSignalRegistration.Create(PosixSignal.SIGINT, stopOnSignal)
    use _ = PosixSignalRegistration.Create(PosixSignal.SIGTERM, stopOnSignal)
    let root = RootCommand "Breaks Regatta's nodes and links in every way, and checks what clients see."
    root.Subcommands.Add(runCommand ())
    root.Subcommands.Add(plantedCommand ())
    root.Subcommands.Add(listCommand ())
    root.Subcommands.Add(reportCommand ())
    root.Parse(arguments).Invoke()
