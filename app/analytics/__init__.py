"""Analytics: what became of a period, as figures. It owns no table, writes nothing and reads what lies below it."""
