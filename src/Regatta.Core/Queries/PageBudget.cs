namespace Regatta.Core;

/// <summary>
/// Bytes left in one reply. The first record always fits, else a page smaller than one record would never get anywhere.
/// All range operations of a transaction share one budget, because they travel in one reply.
/// </summary>
internal sealed class PageBudget(int bytes)
{
    private long _left = bytes;
    private bool _hasRecord;

    public void OpenAnswer() => _left -= PageSize.AnswerBytes;

    /// <summary>Takes the record's bytes off; false, and nothing taken, if it must wait for another page.</summary>
    public bool TryAdmit(int keyBytes, int valueBytes)
    {
        long size = (long)keyBytes + valueBytes + PageSize.RecordBytes;
        if (_hasRecord && size > _left)
            return false;
        _left -= size;
        _hasRecord = true;
        return true;
    }
}
