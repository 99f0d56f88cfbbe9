namespace Regatta.Spec

/// The state of one incarnation of a table at each of its revisions.
type History = private { States: Map<Revision, State>; Latest: State }

module History =
    let start state = { States = Map.ofList [ state.Revision, state ]; Latest = state }
    let latest history = history.Latest

    /// The state at a revision; None before the first state held or after the latest.
    let at revision history = Map.tryFind revision history.States

    let apply history command =
        let state, reply = Table.apply history.Latest command
        { States = Map.add state.Revision state history.States; Latest = state }, reply
