namespace Regatta.Spec

open System.Collections.Generic

/// What a search through all states of a transition system has found.
type Explored<'State> =
    {
        /// How many distinct ones were seen, until a rule was broken.
        States: int
        /// The rule that does not hold, and the way there from the beginning; shortest first.
        Broken: (string * 'State list) option
    }

module Explorer =
    /// Breadth first through everything that can be reached. `key` tells states apart; `rules` hold in every state of a right system.
    let explore (initial: 'State seq) (next: 'State -> 'State seq) (key: 'State -> string) (rules: (string * ('State -> bool)) list) =
        let before = Dictionary<string, 'State voption>()
        let waiting = Queue<'State>()

        let rec way (state: 'State) path =
            match before[key state] with
            | ValueSome earlier -> way earlier (state :: path)
            | ValueNone -> state :: path

        let broken state = rules |> List.tryFind (fun (_, holds) -> not (holds state))

        let see origin state = if before.TryAdd(key state, origin) then waiting.Enqueue state

        Seq.iter (see ValueNone) initial
        let mutable found = None

        while Option.isNone found && waiting.Count > 0 do
            let state = waiting.Dequeue()

            match broken state with
            | Some(name, _) -> found <- Some(name, way state [])
            | None -> next state |> Seq.iter (see (ValueSome state))

        { States = before.Count; Broken = found }
