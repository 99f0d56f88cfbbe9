using Regatta.Core;

namespace Regatta.Raft;

/// <summary>Where the snapshots of a group on this node come from.</summary>
/// <param name="Checkpoint">Makes a copy of the table, of the state at the call or a later one, as a new directory: <c>TableStore.Checkpoint</c>.</param>
/// <param name="Applied">How far the table is: a checkpoint that is begun now will hold as much.</param>
/// <param name="Term">The group's Raft term on this node; asked after the checkpoint is made, so it is at least that of the state.</param>
internal sealed record SnapshotOrigin(Action<string> Checkpoint, Func<AppliedState> Applied, Func<long> Term);
