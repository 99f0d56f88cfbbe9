namespace Regatta.Testing.Nodes

open System
open System.Collections.Concurrent
open System.Collections.Generic
open System.Diagnostics
open System.IO
open System.Net
open System.Net.Http
open System.Reflection
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Testing

/// Where the build put things, as recorded in this assembly.
module Build =
    let private metadata key =
        let assembly = Assembly.GetExecutingAssembly()

        let value =
            assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            |> Seq.pick (fun attribute -> if attribute.Key = key then Option.ofObj attribute.Value else None)

        Path.GetFullPath(Path.Combine(AppContext.BaseDirectory, value))

    let regatta = metadata "RegattaCommand"
    let repository = metadata "RepositoryRoot"

/// The last lines that a process printed.
type private Tail(capacity: int) =
    let lines = Queue<string>()

    member _.Add(line: string) =
        lock lines (fun () ->
            if lines.Count = capacity then lines.Dequeue() |> ignore

            lines.Enqueue line)

    member _.Text = lock lines (fun () -> String.Join(Environment.NewLine, lines))

/// How to start a node: `Prefix` is what runs it (strace and its options, or nothing), `Arguments` is what follows `regatta`.
type NodeStart = { Prefix: string list; Arguments: string list; Rest: int }

/// What a node came to after its start.
type Readiness =
    | Ready
    /// With what /readyz says.
    | NotReady of string
    | Ended

/// A `regatta` node in a process of its own. What it prints is kept, and is part of every failure's message. Disposing it kills it if it still runs.
type NodeProcess private (running: Process, rest: int, tail: Tail, mistakes: ConcurrentQueue<string>) =
    static let http = new HttpClient(new SocketsHttpHandler(UseProxy = false), Timeout = TimeSpan.FromSeconds 10.0)

    /// Generous: a debug build that shares two cores with another test project.
    static let patience = TimeSpan.FromSeconds 120.0

    /// The answer of /readyz; None while nobody listens.
    static let readiness (rest: int) =
        task {
            try
                use! response = http.GetAsync $"http://127.0.0.1:{rest}/readyz"
                let! text = response.Content.ReadAsStringAsync()
                return Some(response.StatusCode, text)
            with
            | :? HttpRequestException
            | :? TaskCanceledException -> return None
        }

    let exitWithin (limit: TimeSpan) =
        task {
            use source = new CancellationTokenSource(limit)

            try
                do! running.WaitForExitAsync source.Token
                return Some running.ExitCode
            with :? OperationCanceledException ->
                return None
        }

    member _.Id = running.Id

    /// Then Output is complete: the process is gone before the last of what it printed has been read.
    member _.HasExited =
        let exited = running.HasExited

        if exited then running.WaitForExit()

        exited

    /// What it printed last, for messages and for checks of what it said.
    member _.Output = tail.Text

    /// What it asked to be told of: the first lines that say so, however much it printed since.
    member _.Mistakes = List.ofSeq mistakes

    member node.Fail(what: string) : 'a =
        failtest $"{what} (seed {Seed.current}){Environment.NewLine}--- the node printed last:{Environment.NewLine}{node.Output}"

    /// Starts the process and returns at once.
    static member Start(start: NodeStart) =
        let command = start.Prefix @ [ "dotnet"; Build.regatta ] @ start.Arguments

        let info =
            ProcessStartInfo(
                List.head command,
                List.tail command,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
                RedirectStandardInput = true
            )

        info.Environment["DOTNET_NOLOGO"] <- "1"
        let tail = Tail 300
        let mistakes = ConcurrentQueue<string>()
        let running = new Process(StartInfo = info)

        let note (line: string) =
            tail.Add line

            if mistakes.Count < 10 && line.Contains("please report", StringComparison.Ordinal) then mistakes.Enqueue line

        let keep (line: DataReceivedEventArgs) = Option.iter note (Option.ofObj line.Data)
        running.OutputDataReceived.Add keep
        running.ErrorDataReceived.Add keep
        running.Start() |> ignore
        running.BeginOutputReadLine()
        running.BeginErrorReadLine()
        new NodeProcess(running, start.Rest, tail, mistakes)

    /// Waits until /readyz says 200, or something that `final` takes for the last word, or until the process has ended.
    member node.Settled(final: string -> bool) =
        task {
            let since = Stopwatch.StartNew()
            let mutable settled = None

            while Option.isNone settled do
                let! answer = readiness rest

                settled <-
                    match answer with
                    | Some(HttpStatusCode.OK, _) -> Some Ready
                    | Some(_, text) when final text -> Some(NotReady text)
                    | _ when node.HasExited -> Some Ended
                    | _ -> None

                if Option.isNone settled then
                    if since.Elapsed > patience then node.Fail $"the node was not ready after {patience}; /readyz says %A{answer}"

                    do! Task.Delay(TimeSpan.FromMilliseconds 20.0, TimeProvider.System)

            return settled.Value
        }

    /// Waits until /readyz says 200: every table accepts writes.
    member node.Ready() =
        task {
            let! settled = node.Settled(fun _ -> false)

            if settled <> Ready then node.Fail $"the node ended with exit code {running.ExitCode} before it was ready"
        }

    /// Its exit code, once it has ended by itself.
    member node.Exit(limit: TimeSpan) =
        task {
            match! exitWithin limit with
            | Some code ->
                // Until the pipes are empty as well, so that Output is complete.
                running.WaitForExit()
                return code
            | None -> return node.Fail $"the node still ran after {limit}"
        }

    /// kill -9, and waits until it is gone.
    member node.Kill() =
        task {
            Machine.signal Signal.kill running.Id |> ignore
            let! code = node.Exit patience
            ignore code
        }

    /// SIGSTOP: it stands still, its connections stay.
    member node.Pause() = if not (Machine.signal Signal.pause running.Id) then node.Fail "the node was gone before it got SIGSTOP"

    /// SIGCONT.
    member node.Resume() = if not (Machine.signal Signal.resume running.Id) then node.Fail "the node was gone before it got SIGCONT"

    /// SIGTERM; its exit code, which must come within the limit.
    member node.Terminate(limit: TimeSpan) =
        task {
            if not (Machine.signal Signal.terminate running.Id) then node.Fail "the node was gone before it got SIGTERM"

            return! node.Exit limit
        }

    interface IDisposable with
        member _.Dispose() =
            if not running.HasExited then
                running.Kill(entireProcessTree = true)
                running.WaitForExit()

            running.Dispose()
