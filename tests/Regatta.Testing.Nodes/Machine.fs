namespace Regatta.Testing.Nodes

open System
open System.ComponentModel
open System.Diagnostics
open System.IO
open System.Runtime.InteropServices
open System.Threading
open Expecto

/// The operating system's calls that .NET has no name for.
module private Native =
    [<DllImport("libc", SetLastError = true)>]
    extern int kill(int pid, int signal)

    [<DllImport("libc")>]
    extern uint geteuid()

type CommandOutput = { ExitCode: int; Out: string; Error: string }

/// The machine that the tests run on: its commands, and what it lets us do.
module Machine =
    let isRoot = Native.geteuid () = 0u

    /// Whether a command is installed.
    let isThere name =
        let directories =
            (match Environment.GetEnvironmentVariable "PATH" with
             | null -> ""
             | path -> path)
                .Split(Path.PathSeparator)

        Seq.append directories [ "/usr/sbin"; "/sbin" ]
        |> Seq.exists (fun directory -> File.Exists(Path.Combine(directory, name)))

    /// Runs a command to its end and returns what it printed. A command that is still running at the deadline is killed, and that is an error.
    let run (deadline: TimeSpan) (file: string) (arguments: string seq) =
        let start = ProcessStartInfo(file, arguments, RedirectStandardOutput = true, RedirectStandardError = true)

        let command =
            match Process.Start start with
            | null -> failwith $"%s{file} did not start"
            | started -> started

        use command = command
        let output = command.StandardOutput.ReadToEndAsync()
        let error = command.StandardError.ReadToEndAsync()
        use limit = new CancellationTokenSource(deadline)

        try
            command.WaitForExitAsync(limit.Token).GetAwaiter().GetResult()
        with :? OperationCanceledException ->
            command.Kill(entireProcessTree = true)
            failwith $"%s{file} was still running after {deadline}"

        { ExitCode = command.ExitCode
          Out = output.GetAwaiter().GetResult()
          Error = error.GetAwaiter().GetResult() }

    /// Runs a command that must succeed.
    let must file arguments =
        let result = run (TimeSpan.FromMinutes 2.0) file arguments

        if result.ExitCode <> 0 then
            let line = String.concat " " (Seq.append [ file ] arguments)
            failwith $"{line}: exit code {result.ExitCode}: {result.Error.Trim()} {result.Out.Trim()}"

        result.Out

    /// Sends a signal to one process by its id. False when the process is gone.
    let signal (number: int) (pid: int) =
        if Native.kill (pid, number) = 0 then
            true
        else
            match Marshal.GetLastPInvokeError() with
            | 3 -> false
            | code -> raise (Win32Exception code)

    /// Skips the test with a sentence when a command is not installed.
    let needsCommand what name = if not (isThere name) then skiptest $"left out: {what} needs the command {name}, which is not installed"

    /// Skips the test with a sentence when we are not root.
    let needsRoot what = if not isRoot then skiptest $"left out: {what} needs root"

/// Signals by their numbers on Linux.
module Signal =
    let kill = 9
    let terminate = 15
    let resume = 18
    let pause = 19
