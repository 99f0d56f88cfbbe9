namespace Regatta.Chaos.Report

open System

/// A call of a failing history in its place: in which row, and between which of the history's moments.
type private Placed = { Number: int; Call: Call; Row: int; First: int; Last: int }

/// A failing history as a diagram: time runs to the right, every client has its row (more when its own calls overlap). Only the order of
/// beginnings and ends counts for what is possible, so the distances are those that the labels need.
module internal SpaceTime =
    let private gutter = 150.0
    let private narrowest = 1156.0
    let private rowHeight = 58.0
    let private top = 26.0
    let private step = 30.0
    let private perLetter = 7.0
    let private letters = 34

    /// Rows: the client of each, and the calls in it, in order. A call goes into its client's first row that is free by then.
    let private rows (calls: (int * Call) list) =
        let place (rows: (int * Call) list list) (number, call: Call) =
            let free = rows |> List.tryFindIndex (fun row -> (snd (List.head row)).Ended <= call.Began)

            match free with
            | Some free -> rows |> List.mapi (fun index row -> if index = free then (number, call) :: row else row)
            | None -> rows @ [ [ number, call ] ]

        calls
        |> List.groupBy (fun (_, call) -> call.Client)
        |> List.sortBy fst
        |> List.collect (fun (client, calls) -> calls |> List.fold place [] |> List.map (fun row -> client, List.rev row))

    let private what placed = Show.cut letters $"{placed.Number}  {placed.Call.What}"
    let private answer placed = Show.cut letters $"→ {placed.Call.Answer}"
    let private room placed = perLetter * float (max (what placed).Length (answer placed).Length) + 14.0

    let private place (calls: Call list) =
        let moments =
            calls
            |> List.collect (fun call -> [ call.Began; call.Ended ])
            |> List.filter Double.IsFinite
            |> List.distinct
            |> List.sort

        let at moment = moments |> List.tryFindIndex ((=) moment) |> Option.defaultValue moments.Length

        let placed =
            calls
            |> List.indexed
            |> rows
            |> List.indexed
            |> List.collect (fun (row, (_, calls)) ->
                calls
                |> List.map (fun (index, call) ->
                    { Number = index + 1
                      Call = call
                      Row = row
                      First = at call.Began
                      Last = at call.Ended }))

        moments, placed

    /// Where each moment stands, and after the last the right edge: no label runs into the next call of its row.
    let private positions (moments: float list) placed =
        let next call = placed |> List.filter (fun other -> other.Row = call.Row && other.First > call.First) |> List.map _.First
        let until = placed |> List.map (fun call -> call, (next call |> List.fold min moments.Length))
        let x = Array.create (moments.Length + 1) gutter

        for moment in 1 .. moments.Length do
            let needed = until |> List.filter (fun (_, next) -> next = moment) |> List.map (fun (call, _) -> x[call.First] + room call)
            x[moment] <- List.fold max (x[moment - 1] + step) needed

        let stretch = max 1.0 ((narrowest - gutter) / (x[moments.Length] - gutter))
        x |> Array.map (fun x -> gutter + (x - gutter) * stretch)

    let private number (value: float) = value.ToString "0.#"

    let private text kind x y content = Html.element "text" [ "class", kind; "x", number x; "y", number y ] [ Text content ]

    let private line kind x1 y1 x2 y2 =
        Html.element "line" [ "class", kind; "x1", number x1; "y1", number y1; "x2", number x2; "y2", number y2 ] []

    let private drawCall (x: float array) placed =
        let y = top + float placed.Row * rowHeight
        let left, right = x[placed.First], x[placed.Last]
        let endless = if Double.IsFinite placed.Call.Ended then "" else " endless"

        let bar =
            Html.element
                "rect"
                [ "class", Show.outcome placed.Call.Outcome + endless
                  "x", number left
                  "y", number (y + 21.0)
                  "width", number (max 4.0 (right - left))
                  "height", "10"
                  "rx", "2" ]
                []

        let call = placed.Call

        let whole =
            $"{placed.Number}: {call.Client} at {call.Node}: {call.What} → {call.Answer} ({Show.moment call.Began} to {Show.moment call.Ended})"

        Html.element
            "g"
            []
            [ Html.plain "title" whole
              bar
              text "what" left (y + 15.0) (what placed)
              text "answer" left (y + 46.0) (answer placed) ]

    /// The moments' times along the top, those that have the room.
    let private axis bottom (moments: float list) (x: float array) =
        let label (drawn, from) (index, moment) =
            let tick = line "tick" x[index] 18.0 x[index] bottom

            if x[index] >= from then
                text "moment" x[index] 12.0 (Show.moment moment) :: tick :: drawn, x[index] + 72.0
            else
                tick :: drawn, from

        moments |> List.indexed |> List.fold label ([], 0.0) |> fst

    let draw (calls: Call list) =
        let moments, placed = place calls
        let x = positions moments placed
        let lanes = rows (List.indexed calls) |> List.map fst
        let bottom = top + float lanes.Length * rowHeight
        let width = x[moments.Length] + 10.0

        let lane (row, client) =
            let y = top + float row * rowHeight
            [ line "lane" 0.0 (y + rowHeight - 2.0) width (y + rowHeight - 2.0); text "client" 4.0 (y + 30.0) (Show.cut 20 client) ]

        Html.element
            "svg"
            [ "class", "spacetime"
              "width", number width
              "height", number (bottom + 4.0)
              "role", "img"
              "aria-label", "The calls of the failing history, by client" ]
            [ yield! axis bottom moments x
              yield! lanes |> List.indexed |> List.collect lane
              yield! placed |> List.map (drawCall x) ]
