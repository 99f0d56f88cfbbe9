/// Nodes that the command has started itself, within this process.
module Launched

open System
open System.IO
open System.Text.RegularExpressions
open System.Threading
open System.Threading.Tasks
open Expecto
open Regatta.Cli

/// Nothing in these tests waits longer than this for anything that should come at once.
let patience = TimeSpan.FromSeconds 60.

/// Standard output that tells when the line that scripts wait for has been written.
type private Announcement() =
    inherit MemoryStream()
    let ready = TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously)
    member _.Ready = ready.Task

    override this.WriteAsync(buffer: ReadOnlyMemory<byte>, _: CancellationToken) =
        base.Write buffer.Span
        let text = Bytes.toText (this.ToArray())

        if text.EndsWith("ready\n", StringComparison.Ordinal) then ready.TrySetResult text |> ignore

        ValueTask.CompletedTask

[<NoEquality; NoComparison>]
type Running =
    {
        Announced: string
        Site: FakeSite.Site
        Rest: string
        /// Interrupts it, as Ctrl-C does; its exit code and what it wrote to standard error.
        Stop: unit -> Task<int * string>
    }

let launch environment (arguments: string list) =
    task {
        let output = new Announcement()
        let errors = new StringWriter()
        let interrupt = new CancellationTokenSource()
        let setup = { Run.plain with Environment = environment }
        let running = CommandLine.RunAsync(Array.ofList arguments, Run.surroundings setup output errors, interrupt.Token)
        let! first = Task.WhenAny(running :> Task, output.Ready :> Task).WaitAsync patience

        if obj.ReferenceEquals(first, running) then failtestf "it ended instead of getting ready: %s" (errors.ToString())

        let! announced = output.Ready
        let found (pattern: string) = Regex.Match(announced, pattern, RegexOptions.Multiline).Groups[1].Value

        return
            { Announced = announced
              Site =
                { State = FakeSite.State()
                  Endpoint = found "^clients: (.*)$"
                  Stop = fun () -> Task.CompletedTask }
              Rest = found "^health:  (.*)/readyz$"
              Stop =
                fun () ->
                    task {
                        do! interrupt.CancelAsync()
                        let! code = running
                        return code, errors.ToString()
                    } }
    }

let dev (directory: string) = launch [] [ "dev"; "--nodes"; "1"; "--base-port"; "0"; "--data-dir"; directory; "--log-level"; "ERROR" ]

let inDirectory (body: string -> Task<unit>) =
    task {
        let directory = Directory.CreateTempSubdirectory "regatta-cli-"

        try
            do! body directory.FullName
        finally
            directory.Delete true
    }

/// That a site of several nodes was not ready at once is no error: on a busy machine an election may take more than one round.
let expectCleanStop (code, errors: string) =
    Expect.equal code ExitCode.Ok "a clean stop"

    for line in errors.Split('\n', StringSplitOptions.RemoveEmptyEntries) do
        Expect.stringStarts line "regatta: not ready: " "no error"

/// As <c>CommandOutput.expectOutput</c>, in lines.
let expectOutput (expected: string list) result = CommandOutput.expectOutput (CommandOutput.lines expected) result
