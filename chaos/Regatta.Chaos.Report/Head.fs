namespace Regatta.Chaos.Report

/// The top of the page: the verdict and why, what was run, and how to run it again.
module internal Head =
    let private word verdict =
        match verdict with
        | Passed -> "Passed"
        | Failed -> "Failed"
        | Void -> "Void"

    let private mark verdict =
        match verdict with
        | Passed -> "✓"
        | Failed -> "✕"
        | Void -> "–"

    let private verdict (record: RunRecord) =
        Html.classed
            "div"
            $"verdict {Show.verdict record.Verdict}"
            [ Html.element "span" [ "class", "mark"; "aria-hidden", "true" ] [ Text(mark record.Verdict) ]
              Html.element "div" [] [ Html.plain "h1" (word record.Verdict); Html.classed "p" "why" [ Text record.Why ] ] ]

    let private planted (record: RunRecord) =
        match record.Planted with
        | None -> []
        | Some bug ->
            [ Html.classed "p" "planted" [ Html.plain "strong" "A bug was planted on purpose: "; Text $"{bug}. This run ought to fail." ] ]

    let private fact name value = Html.element "div" [] [ Html.plain "dt" name; Html.plain "dd" value ]

    let private facts (record: RunRecord) =
        let nodes = record.Sites |> List.map string |> String.concat " + "
        let passed = record.Checks |> List.filter (fun check -> check.Verdict = Passed)
        let kinds = record.FaultCounts |> List.filter (fun count -> count.Times > 0)

        Html.classed
            "dl"
            "facts"
            [ fact "Length" (Show.span record.Length)
              fact "Operations" (Show.count record.Operations)
              fact "Faults" $"{List.sumBy _.Times kinds}, of {kinds.Length} kinds"
              fact "Checks passed" $"{passed.Length} of {record.Checks.Length}"
              fact "Sites" $"{record.Sites.Length}, with {nodes} nodes"
              fact "Started" (record.Started.ToString "yyyy-MM-dd HH:mm:ss zzz") ]

    let private again (record: RunRecord) =
        Html.classed
            "section"
            "again"
            [ Html.plain "h2" "Run it again"
              Html.element "pre" [ "class", "command"; "title", "One click selects it all" ] [ Html.plain "code" record.Command ]
              Html.classed "dl" "origin" [ fact "Seed" (string record.Seed); fact "Commit" record.Commit; fact "Machine" record.Machine ] ]

    let draw record = Html.classed "header" "head" ([ verdict record ] @ planted record @ [ facts record; again record ])
