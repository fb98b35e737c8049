-- Tells up to where SQL has the journal; reads only.
--
-- Answers {epoch, ms, sequence}: SQL has every entry before that place; or nothing when there is no ledger yet.
--
-- The epoch is that of the next entry, or the present one when there is none: whatever is written later stands
-- at or after the place, even when a failover brings ids again.

local group = ledger()
if not group then
    return false
end
local ms, sequence = undrained(group)
local next = entry_from(ms, sequence)
local epoch = redis.call('GET', KEY_EPOCH) or '0'
if next then
    epoch = field(next, 'epoch') or '0'
end
return { epoch, integer(ms), integer(sequence) }
