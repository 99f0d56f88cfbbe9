namespace Regatta.Core;

/// <summary>
/// How far a table's state has come. Stored in the same atomic write as the data it describes, so that a crash can leave an
/// older state but never one that disagrees with itself.
/// </summary>
/// <param name="Index">Raft index of the last entry applied; 0 before the first.</param>
/// <param name="Term">Raft term of that entry.</param>
/// <param name="Revision">Table revision of the last command applied; 0 before the first.</param>
/// <param name="Incarnation">The life of the table that <paramref name="Revision"/> counts in.</param>
/// <param name="Chain">Chain hash at <paramref name="Revision"/>.</param>
public readonly record struct AppliedState(long Index, long Term, long Revision, Incarnation Incarnation, ChainHash Chain);
