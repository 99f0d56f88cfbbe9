namespace Regatta.Integration.Tests

open System
open System.IO

/// What a run measured, in sentences with numbers. `.ci/run` and `tests/long` collect them and print them at the end.
module Report =
    let private gate = obj ()

    /// One line. Shown with the test's output; also appended to the file that REGATTA_TEST_REPORT names, if any.
    let fact (text: string) =
        lock gate (fun () ->
            Console.WriteLine text

            match Environment.GetEnvironmentVariable "REGATTA_TEST_REPORT" with
            | null
            | "" -> ()
            | path -> File.AppendAllText(path, text + "\n"))
