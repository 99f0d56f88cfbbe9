namespace Regatta.Chaos.Report

open System

/// What the checkers looked at and found, and the failing histories.
module internal Findings =
    let private cell kind text = Html.classed "td" kind [ Text text ]

    let private found (check: Check) =
        match check.Found with
        | [] -> [ Html.classed "span" "quiet" [ Text "nothing" ] ]
        | found -> [ Html.element "ul" [] (found |> List.map (Html.plain "li")) ]

    let private check (check: Check) =
        let verdict = Show.verdict check.Verdict

        Html.element
            "tr"
            []
            [ Html.classed "td" "badge" [ Html.classed "span" $"badge {verdict}" [ Text verdict ] ]
              cell "name" check.Name
              cell "looked" check.Looked
              Html.classed "td" "found" (found check) ]

    let private noCheck =
        Html.element "tr" [] [ Html.element "td" [ "colspan", "4"; "class", "quiet" ] [ Text "No check ran." ] ]

    let checks (record: RunRecord) =
        let rows = if record.Checks.IsEmpty then [ noCheck ] else record.Checks |> List.map check

        Html.element
            "section"
            [ "id", "checks" ]
            [ Html.plain "h2" "Checks"; Html.table "checks" [ "Verdict"; "Check"; "Looked at"; "Found" ] rows ]

    let private call (index, call: Call) =
        let outcome = Show.outcome call.Outcome

        Html.element
            "tr"
            []
            [ cell "number" (string (index + 1))
              cell "name" call.Client
              cell "" call.Node
              cell "code" call.What
              Html.classed "td" "code" [ Html.element "span" [ "class", $"dot {outcome}"; "title", outcome ] []; Text call.Answer ]
              cell "number" (Show.moment call.Began)
              cell "number" (Show.moment call.Ended)
              cell "number" (Show.span (call.Ended - call.Began)) ]

    /// A little more than the time of the calls, for the link that shows it on the timeline.
    let private range (calls: Call list) =
        let first = calls |> List.map _.Began |> List.min

        let last =
            calls |> List.collect (fun call -> [ call.Began; call.Ended ]) |> List.filter Double.IsFinite |> List.fold max first

        let around = max 2.0 ((last - first) / 4.0)
        $"#t=%.3f{max 0.0 (first - around)},%.3f{last + around}"

    let private history (calls: Call list) =
        let calls = calls |> List.sortBy _.Began
        let headings = [ "#"; "Client"; "At node"; "Call"; "Answer"; "Began"; "Ended"; "Took" ]

        [ Html.classed "div" "scroll" [ SpaceTime.draw calls ]
          Html.classed
              "p"
              "quiet"
              [ Text "The order of beginnings and ends is as it was, the distances are not. "
                Html.element "a" [ "href", range calls ] [ Text "Show these moments on the timeline" ] ]
          Html.classed "div" "scroll" [ Html.table "calls" headings (calls |> List.indexed |> List.map call) ] ]

    let private failure (failure: Failure) =
        let calls = if failure.Core.IsEmpty then [] else history failure.Core

        Html.classed "article" "failure" ([ Html.plain "h3" failure.Check; Html.classed "p" "impossible" [ Text failure.Why ] ] @ calls)

    let failures (record: RunRecord) =
        match record.Failures with
        | [] -> []
        | failures -> [ Html.element "section" [ "id", "failures" ] (Html.plain "h2" "Why it failed" :: (failures |> List.map failure)) ]

    let private kind (count: Count) =
        Html.element
            "tr"
            [ "class", (if count.Times = 0 then "never" else "") ]
            [ cell "name" count.Kind; cell "number" (string count.Times); cell "" count.What ]

    let faults (record: RunRecord) =
        let counts = record.FaultCounts |> List.sortBy (fun count -> -count.Times, count.Kind)

        Html.element
            "section"
            [ "id", "faults" ]
            [ Html.plain "h2" "Faults"
              Html.classed "p" "quiet" [ Text "Every kind of the catalogue, and how often it was injected in this run." ]
              Html.table "kinds" [ "Kind"; "Times"; "What it does" ] (counts |> List.map kind)
              Html.plain "h3" "One by one, in the selected time"
              Html.element "div" [ "id", "fault-list"; "class", "scroll tall" ] [] ]
