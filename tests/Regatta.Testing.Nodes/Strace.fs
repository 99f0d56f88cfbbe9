namespace Regatta.Testing.Nodes

open System
open System.Diagnostics
open System.Globalization
open System.IO
open System.Threading.Tasks

/// What becomes of a sync.
type SyncFault =
    | FailsWithEio
    /// Does nothing and says that it did: what no disk should do, and what a missing sync would look like.
    | OnlyPretends
    /// Takes so many milliseconds more.
    | TakesLonger of milliseconds: int

/// strace as the source of disk faults: every fsync and fdatasync of a running process goes wrong from now on.
type FaultySyncs private (tracer: Process, log: string, attached: TaskCompletionSource) =
    static let injection fault =
        match fault with
        | FailsWithEio -> "inject=fsync,fdatasync:error=EIO"
        | OnlyPretends -> "inject=fsync,fdatasync:retval=0"
        | TakesLonger milliseconds -> $"inject=fsync,fdatasync:delay_enter={milliseconds * 1000}"

    /// Skips the test with a sentence where the machine does not let us do this.
    static member Needs what =
        Machine.needsRoot what
        Machine.needsCommand what "strace"

    /// Options that run a command under strace such that in each thread the syncs from the n-th on fail.
    static member Prefix(log: string, from: int) =
        [ "strace"; "-f"; "-o"; log; "-e"; "trace=fsync,fdatasync"; "-e"; $"{injection FailsWithEio}:when={from}+" ]

    /// Attaches to all threads of a process.
    static member Attach(fault: SyncFault, pid: int, log: string) =
        let info =
            ProcessStartInfo(
                "strace",
                [ "-f"; "-ttt"; "-y"; "-o"; log; "-e"; "trace=fsync,fdatasync"; "-e"; injection fault; "-p"; string pid ],
                RedirectStandardError = true
            )

        match Process.Start info with
        | null -> failwith "strace did not start"
        | tracer ->
            let attached = TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)

            tracer.ErrorDataReceived.Add(fun line ->
                match line.Data with
                | null -> attached.TrySetException(InvalidOperationException "strace ended before it was attached") |> ignore
                | text when text.Contains(" attached", StringComparison.Ordinal) -> attached.TrySetResult() |> ignore
                | _ -> ())

            tracer.BeginErrorReadLine()
            new FaultySyncs(tracer, log, attached)

    /// Completes when strace has all threads of the process: from here on every sync is faulty.
    member _.Attached = attached.Task

    /// Syncs are what they were.
    member _.Detach() = task { if not tracer.HasExited && Machine.signal Signal.terminate tracer.Id then do! tracer.WaitForExitAsync() }

    /// Ends with the traced process.
    member _.Ended = tracer.WaitForExitAsync()

    /// When each faulty sync of a file or directory was called whose path has this in it.
    member _.FaultsOf(part: string) =
        File.ReadLines log
        |> Seq.filter (fun line -> line.Contains("(INJECTED)", StringComparison.Ordinal) && line.Contains(part, StringComparison.Ordinal))
        |> Seq.map (fun line -> line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1])
        |> Seq.map (fun seconds -> DateTimeOffset.UnixEpoch.AddSeconds(Double.Parse(seconds, CultureInfo.InvariantCulture)))
        |> List.ofSeq

    /// When each faulty sync was called.
    member syncs.Faults = syncs.FaultsOf ""

    interface IDisposable with
        member _.Dispose() =
            if not tracer.HasExited then
                tracer.Kill()
                tracer.WaitForExit()

            tracer.Dispose()
