namespace Regatta.Toxiproxy.Server

open System.Threading

/// Wakes one task that waits for something to change. The waker changes the state first, and the waiter looks at the state before each wait,
/// so no wake is lost, and one too many does no harm.
[<Sealed>]
type internal Wake() =
    let signal = new SemaphoreSlim(0, 1)

    /// Not safe for concurrent use: its callers hold the lock of what they changed.
    member _.Set() = if signal.CurrentCount = 0 then signal.Release() |> ignore

    /// At most so many ms, -1 for ever.
    member _.WaitAsync(milliseconds: int) = signal.WaitAsync milliseconds
