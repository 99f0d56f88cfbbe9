namespace Regatta.Chaos.Report

/// The places into which the page's script draws.
module internal Graphs =
    let private place name = Html.element "div" [ "id", name ] []

    let private key names =
        let item (kind, text) = Html.element "li" [] [ Html.classed "span" $"key {kind}" []; Text text ]
        Html.classed "ul" "legend" (names |> List.map item)

    let private section name title note key content =
        Html.element "section" [ "id", name ] ([ Html.plain "h2" title; Html.classed "p" "quiet" [ Text note ]; key ] @ content)

    let private outcomes = [ "answered", "answered"; "refused", "refused"; "unknown", "unknown" ]

    /// Stays at the top: the whole run in small, with the selected time, and where the sections are.
    let bar =
        let link name title = Html.element "a" [ "href", $"#{name}" ] [ Text title ]

        Html.classed
            "nav"
            "bar"
            [ Html.classed
                  "div"
                  "links"
                  [ link "timeline" "Timeline"
                    link "rates" "Rates and latencies"
                    link "lag" "Lag"
                    link "operations" "Operations"
                    link "faults" "Faults"
                    Html.element "span" [ "id", "selected" ] []
                    Html.element "button" [ "id", "reset"; "type", "button" ] [ Text "Whole run" ] ]
              place "overview" ]

    let timeline =
        section
            "timeline"
            "Timeline"
            "Drag over any graph to select a time, and everything follows; a double click shows the whole run again. Below 30 seconds the sampled calls are drawn one by one."
            (key (outcomes @ [ "fault", "fault"; "up", "node ready"; "starting", "node starting"; "gone", "node ended or stopped" ]))
            [ place "lanes" ]

    let rates =
        section
            "rates"
            "Rates and latencies"
            "On the left operations per second by outcome, on the right latencies of the answered ones (logarithmic). Where a point covers more than a second it has the mean of the rates and of p50, the worst of p99 and max."
            (key (outcomes @ [ "p50", "p50"; "p99", "p99"; "max", "max"; "shade", "fault" ]))
            [ place "kinds" ]

    let lag =
        section
            "lag"
            "Lag"
            "How far behind the leader site, in milliseconds and in revisions. A gap: it could not be said."
            (Html.element "ul" [ "id", "lag-key"; "class", "legend" ] [])
            [ place "lags" ]

    let operations =
        section
            "operations"
            "Operations"
            "In the selected time, to whole seconds. p50 and p99 are those of the middle one of its seconds, each weighed by what it answered."
            (Text "")
            [ Html.element "div" [ "id", "operation-table"; "class", "scroll" ] [] ]
