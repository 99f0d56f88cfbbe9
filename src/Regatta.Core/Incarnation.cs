namespace Regatta.Core;

/// <summary>
/// Names one life of a table. Revisions compare only within one incarnation: a table that is created again, recreated or
/// restored starts a new one.
/// </summary>
/// <param name="History">Random id, made once when the leader site is bootstrapped.</param>
/// <param name="Number">Catalogue revision that made this table; grows with every recreation. 0 for the catalogue itself.</param>
public readonly record struct Incarnation(Guid History, long Number)
{
    public override string ToString() => $"{History:N}/{Number}";
}
