namespace Regatta.Chaos

open Regatta.Spec

/// All that is known of one table's life, from its creation on.
[<NoComparison; NoEquality>]
type Evidence =
    {
        First: State
        /// The table as the specification has it behind the last revision.
        Last: State
        /// What each revision did.
        Records: (Revision * Effect list) list
        Calls: Recorded list
        Watched: Watched list
    }

/// What a checker has found: a sentence, and the calls that show it with a few others around them, or none when it was not calls that showed it.
type Finding = { Check: string; Why: string; Core: Recorded list }

module Evidence =
    let private life = { History = System.Guid.Empty; Number = 1L }

    /// From what the leader site's changelogs say of each revision.
    let gather (commands: (Revision * Command) list) calls watched =
        let first = Table.create life
        let last = commands |> List.fold (fun state (_, command) -> Table.apply state command |> fst) first

        { First = first
          Last = last
          Records = Map.toList last.Changelog.Records
          Calls = calls
          Watched = watched }
