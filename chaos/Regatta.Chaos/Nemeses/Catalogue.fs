namespace Regatta.Chaos

/// All kinds of faults.
module Nemeses =
    let all =
        Toxics.all @ Partitions.all @ Lag.all @ Processes.all @ Power.all @ Disks.all @ Clocks.all @ Leaders.all @ Tables.all

    /// Those whose names are given; all, or all that begin so, for a name that ends with a star. An unknown name is an error.
    let select (names: string list) : Result<Nemesis list, string> =
        let matching (name: string) =
            match name with
            | "all" -> all
            | name when name.EndsWith '*' -> all |> List.filter _.Name.StartsWith(name.TrimEnd '*', System.StringComparison.Ordinal)
            | name -> all |> List.filter (fun nemesis -> nemesis.Name = name)

        match names |> List.tryFind (matching >> List.isEmpty) with
        | Some unknown -> Error $"there is no fault called {unknown}; `list` shows them all"
        | None -> Ok(names |> List.collect matching |> List.distinctBy _.Name)
