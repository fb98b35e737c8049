-- The order in which a game's events are applied.

-- Whether an event is the first of those of its game that are not applied; true for '', which is no event.
local function has_its_turn(game, event)
    return event == '' or redis.call('ZRANGE', KEY_APPLY .. game, 0, 0)[1] == event
end
