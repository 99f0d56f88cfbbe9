/// Runs the command line within this process, with surroundings of our own.
module Run

open System
open System.Collections.Generic
open System.IO
open System.Threading
open Regatta.Cli

type Result =
    { Code: int
      Bytes: byte array
      Errors: string }

    member result.Output = Bytes.toText result.Bytes

[<NoEquality; NoComparison>]
type Setup =
    { Environment: (string * string) list
      Input: byte array
      InputIsTerminal: bool
      Terminal: bool
      Clock: TimeProvider
      Interrupted: CancellationToken }

let plain =
    { Environment = []
      Input = [||]
      InputIsTerminal = false
      Terminal = false
      Clock = TimeProvider.System
      Interrupted = CancellationToken.None }

let surroundingsWith (input: Stream) (setup: Setup) (output: Stream) (errors: TextWriter) =
    let environment = Dictionary<string, string>()
    // Nothing here is about the usual one, in which a busy machine may not be done.
    environment["REGATTA_TIMEOUT"] <- "60s"

    for name, value in setup.Environment do
        environment[name] <- value

    Surroundings(
        Input = input,
        InputIsTerminal = setup.InputIsTerminal,
        Output = output,
        OutputIsTerminal = setup.Terminal,
        Error = errors,
        ErrorIsTerminal = setup.Terminal,
        Clock = setup.Clock,
        Environment = environment
    )

let surroundings (setup: Setup) (output: Stream) (errors: TextWriter) = surroundingsWith (new MemoryStream(setup.Input)) setup output errors

let withSetup (setup: Setup) (arguments: string list) =
    task {
        use output = new MemoryStream()
        use errors = new StringWriter()
        let! code = CommandLine.RunAsync(Array.ofList arguments, surroundings setup output errors, setup.Interrupted)

        return { Code = code; Bytes = output.ToArray(); Errors = errors.ToString() }
    }

let regatta arguments = withSetup plain arguments

/// A command that works on a site.
let at (site: FakeSite.Site) arguments = withSetup { plain with Environment = [ "REGATTA_ENDPOINTS", site.Endpoint ] } arguments

let atWithInput (site: FakeSite.Site) (input: byte array) arguments =
    withSetup { plain with Environment = [ "REGATTA_ENDPOINTS", site.Endpoint ]; Input = input } arguments
