// Prints what no test has noticed, from Stryker's report; tests/mutants calls it.
open System.IO
open System.Text.Json

let private words (text: string) = text.Split([| ' '; '\n'; '\r' |], System.StringSplitOptions.RemoveEmptyEntries) |> String.concat " "

let report = JsonDocument.Parse(File.ReadAllText fsi.CommandLineArgs[1])

for file in report.RootElement.GetProperty("files").EnumerateObject() do
    let lines = string (file.Value.GetProperty "source") |> _.Split('\n')

    for mutant in file.Value.GetProperty("mutants").EnumerateArray() do
        match string (mutant.GetProperty "status") with
        | "Survived"
        | "NoCoverage" as status ->
            let line = mutant.GetProperty("location").GetProperty("start").GetProperty("line").GetInt32()
            let replacement = words (string (mutant.GetProperty "replacement"))
            printfn $"{file.Name}:{line}: {status}: {words lines[line - 1]}  ->  {replacement}"
        | _ -> ()
